"""The file that `MCP_SERVERS` names: a `mcp.json` as other clients read it.

    {"mcpServers": {"files": {"command": "npx", "args": ["-y", "server-files"], "env": {}},
                    "weather": {"url": "https://weather.example/mcp", "headers": {}}}}

Of what some clients add, `disabled` is read, and `tools`, a list of those that are wanted; the rest
is passed over. `${NAME}`, `${env:NAME}` and `${NAME:-default}` are environment variables.
"""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, model_validator

from function_calling.errors import SettingsError, shown

_VARIABLE = re.compile(r"\$\{(?:env:)?(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


def _expanded(text: str) -> str:
    def value(found: re.Match[str]) -> str:
        told = os.environ.get(found["name"], found["default"])
        if told is None:
            raise ValueError(f"the environment variable {found['name']} is not set")
        return told

    return _VARIABLE.sub(value, text)


def _sendable(text: str) -> str:
    # The HTTP library's own error would have the key in it.
    if not (text.isascii() and text.isprintable()):
        raise ValueError("wanted printable ASCII, on one line")
    return text


_Text = Annotated[str, AfterValidator(_expanded)]


class ServerEntry(BaseModel):
    """How one server is reached: by a command that is started, or by streamable HTTP at a URL.

    Attributes:
        tools: The tools that are wanted, by the server's own names; None, or "*" in it: all.
    """

    command: _Text = ""
    args: list[_Text] = Field(default_factory=list)
    env: dict[str, _Text] = Field(default_factory=dict)
    cwd: _Text | None = None
    url: _Text = ""
    headers: dict[str, Annotated[_Text, AfterValidator(_sendable)]] = Field(default_factory=dict)
    type: Literal["stdio", "http", "streamable-http", None] = None
    tools: list[str] | None = None

    @model_validator(mode="after")
    def _reached_in_one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("wanted either command or url")
        if self.url and not re.match("https?://", self.url):
            raise ValueError(f"url={shown(self.url)}: wanted an address of http or https")
        return self

    def wants(self, tool: str) -> bool:
        """Whether the server's tool of this name may be called."""
        return self.tools is None or "*" in self.tools or tool in self.tools


_ENTRIES = TypeAdapter(dict[str, ServerEntry])


def read_servers(path: str) -> dict[str, ServerEntry]:
    """The servers of a file by name, without those that are disabled.

    Raises:
        SettingsError: The file can't be read, or is wrong, which names file, server and key; or
            what speaks to servers is not installed.
    """
    if not path:
        raise SettingsError("TOOLS=mcp: wanted MCP_SERVERS to name a file of servers.")
    place = f"MCP_SERVERS={path!r}"
    if not find_spec("mcp"):
        raise SettingsError(
            f"{place}: the package mcp is not installed here: `make mcp` installs it."
        )
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))["mcpServers"].items()
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        wanted = 'it can\'t be read as JSON of an object {"mcpServers": {NAME: {…}}}'
        raise SettingsError(f"{place}: {wanted} ({error}).") from None
    off = [name for name, it in entries if isinstance(it, dict) and it.get("disabled") is True]
    enabled = {name: entry for name, entry in entries if name not in off}
    try:
        return _ENTRIES.validate_python(enabled, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{place}: {where}: {problem[0].lower()}{problem[1:]}.") from None
