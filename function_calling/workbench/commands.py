"""The commands `render`, `parse` and `samples`: look at what models are told, say and learn."""

import argparse
import os
import sys

from function_calling.errors import RequestError
from function_calling.formats import Format, choose_format
from function_calling.formats.template import ChatTemplate
from function_calling.settings import Settings
from function_calling.workbench.chat_templates import chat_template
from function_calling.workbench.inputs import lines, pieces, whole
from function_calling.workbench.playground import Playground
from function_calling.workbench.reading import read_aloud, tools_from
from function_calling.workbench.samples import samples


def render(options: argparse.Namespace) -> int:
    """Print what an engine would be given for a request; the exit status."""
    settings = Settings.from_env(os.environ)
    form, template = _chosen(options, settings)
    playground = Playground(whole(options.request), form, template, settings.context_length)
    for section in playground.sections():
        print(f"===== {section.heading} =====\n{section.text}")
    return 0


def parse(options: argparse.Namespace) -> int:
    """Print content and calls of a text as they come; the exit status."""
    form, _ = _chosen(options, Settings.from_env(os.environ))
    tools = tools_from(options.tools, whole(options.tools)) if options.tools else None

    def write(text: str) -> None:
        print(text, end="", flush=True)

    read_aloud(form, tools, pieces(options.text), write)
    return 0


def learn(options: argparse.Namespace) -> int:
    """Print training text, and on stderr each line that holds none; the exit status."""
    form, template = _chosen(options, Settings.from_env(os.environ))
    status = 0
    for number, line in enumerate(lines(options.conversations), 1):
        if not line.strip():
            continue
        try:
            for sample in samples(line, form, template):
                print(sample.to_json(), flush=True)
        except RequestError as error:
            print(f"line {number}: {' '.join(error.message.split())}", file=sys.stderr)
            status = 1
    return status


def _chosen(options: argparse.Namespace, settings: Settings) -> tuple[Format, ChatTemplate]:
    """The format that is named, or set, or the template's own; and the template."""
    name = options.format or settings.tool_format
    path = options.template or settings.model_path
    said = f"--template {path}" if options.template else f"MODEL_PATH={path}"
    template = chat_template(path, name, said)
    return choose_format(name, template.source), template
