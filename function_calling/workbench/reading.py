"""A text that a model wrote, told as content and calls while it comes."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping

from pydantic_core import from_json

from function_calling.chat_request import ChatRequest
from function_calling.errors import RequestError, SettingsError, shown
from function_calling.formats import Format
from function_calling.formats.parsing import CallParser, Read
from function_calling.messages import TextDelta, Tool
from function_calling.workbench.checked_tools import checked_tools

_WORD = re.compile(r"[^\s\"'`<>(){}\[\]:,=]+")


def tools_from(name: str, content: bytes) -> list[Tool]:
    """The tools in a file: OpenAI's list, or a request's body that holds `tools` or `functions`.

    Args:
        name: The file's, for errors.
        content: What it holds.

    Raises:
        SettingsError: It holds no tools, or wrong ones.
    """
    try:
        values = from_json(content)
    except ValueError as error:
        raise SettingsError(f"{name} is not JSON: {error}.") from error
    body = {"tools": values} if isinstance(values, list) else values
    if not isinstance(body, Mapping) or not body.keys() & {"tools", "functions"}:
        raise SettingsError(
            f"{name} is {shown(values)}; wanted a list of tools, or a request with `tools`."
        )
    offer = {key: body[key] for key in ("tools", "functions") if key in body}
    try:
        return checked_tools(ChatRequest.parse(json.dumps({"messages": [{}], **offer}).encode()))
    except RequestError as error:
        raise SettingsError(f"{name}: {error.message}") from error


def tools_named_in(form: Format, text: str) -> list[Tool]:
    """A tool for each word of the text, as if all had been offered.

    Only where a word stands as the format spells a call does it become one. The format's own tool
    for answers stays what it is.
    """
    own = {form.answer_tool.name} if form.answer_tool else set()
    names = dict.fromkeys(_WORD.findall(text))
    return [Tool(name, "", {"type": "object"}) for name in names if name not in own]


def read_aloud(
    form: Format,
    tools: Iterable[Tool] | None,
    pieces: Iterable[bytes],
    write: Callable[[str], object],
) -> None:
    """Write content as it is settled, and each call as a line `call: name {…}`.

    Args:
        form: The format of the calls.
        tools: The tools that may be called. None takes every name in the text for one, for which
            the whole text must be there first.
        pieces: The text in UTF-8; what is none is read as U+FFFD.
        write: Is given what is to be told.
    """
    if tools is None:
        whole = b"".join(pieces)
        tools, pieces = tools_named_in(form, whole.decode(errors="replace")), (whole,)
    parser = CallParser(form, list(tools))
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    line = _Line(write)
    for piece in pieces:
        line.tell(parser.feed(decoder.decode(piece)))
    line.tell(parser.feed(decoder.decode(b"", final=True)))
    line.tell(parser.finish())
    line.end()


class _Line:
    """Knows whether a line has been begun."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._begun = False

    def tell(self, read: Read) -> None:
        """Content goes on; a call has a line of its own."""
        for each in read:
            if isinstance(each, TextDelta):
                self._write(each.text)
                self._begun = not each.text.endswith("\n")
            else:
                self.end()
                arguments = json.dumps(each.arguments, ensure_ascii=False)
                self._write(f"call: {each.name} {arguments}\n")

    def end(self) -> None:
        """End the line that has been begun."""
        if self._begun:
            self._write("\n")
        self._begun = False
