"""How model families write tools, calls and results, and how to recognise a call.

A family is a `Format`, a value of a few lines in a file of its own.
"""

from function_calling.formats.format import Format
from function_calling.formats.hermes import HERMES
from function_calling.formats.llama3 import LLAMA3

__all__ = ["FORMATS", "Format", "choose_format"]

FORMATS = {form.name: form for form in (HERMES, LLAMA3)}


def choose_format(name: str, template: str) -> Format:
    """The format called `name`, or for "auto" the one that the chat template speaks.

    A template that speaks none gets `hermes`, whose texts stand in any model's plain turns.
    """
    if name != "auto":
        return FORMATS[name]
    for form in FORMATS.values():
        if any(mark in template for mark in form.template_marks):
            return form
    return HERMES
