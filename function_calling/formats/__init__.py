"""How model families write tools, calls and results, and how to recognise a call.

A family is a `Format`, a value of a few lines.
"""

from function_calling.errors import wrong
from function_calling.formats.chatglm3 import CHATGLM3
from function_calling.formats.format import Format
from function_calling.formats.groq import GROQ
from function_calling.formats.hermes import HERMES
from function_calling.formats.json_list import JSON_LIST
from function_calling.formats.llama3 import LLAMA3
from function_calling.formats.mistral import MISTRAL, MISTRAL_V11
from function_calling.formats.pythonic import PYTHONIC
from function_calling.formats.qwen3coder import QWEN3CODER
from function_calling.formats.react import REACT_EN, REACT_ZH, TOOLBENCH
from function_calling.formats.template import ChatTemplate

__all__ = ["FORMATS", "Format", "choose_format", "find_format"]

FORMATS = {
    form.name: form
    for form in (
        # A template with marks of several is taken to speak the first.
        *(QWEN3CODER, JSON_LIST, HERMES, PYTHONIC, LLAMA3, MISTRAL_V11, MISTRAL, CHATGLM3),
        *(GROQ, REACT_EN, REACT_ZH, TOOLBENCH),
    )
}


def choose_format(name: str, template: str) -> Format:
    """The format called `name`, or for "auto" the one that the chat template speaks.

    That is the one in which it writes a call, or else the first of which it holds a mark. A
    template that speaks none, or wrongly, gets `json_list`.
    """
    if name != "auto":
        return FORMATS[name]
    spoken = [form for form in FORMATS.values() if form.speaks(template)]
    read = ChatTemplate(template)
    return next((form for form in spoken if form.native(read)), [*spoken, JSON_LIST][0])


def find_format(name: str) -> Format:
    """The format that a request names.

    Raises:
        RequestError: There is none of this name.
    """
    if name not in FORMATS:
        raise wrong("tool_format", name, f"one of {', '.join(FORMATS)}")
    return FORMATS[name]
