"""The command line of the project; `python -m function_calling --help` tells of its commands."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

from function_calling.errors import FunctionCallingError
from function_calling.settings import TOOL_FORMATS

_CHAT = """\
Talk with a model that calls the chosen tools, in the terminal. The model is that of OPENAI_BASE_URL
(with OPENAI_API_KEY, and OPENAI_MODEL_NAME or else the first that is listed there), else that of
LLAMA_URL, else the one that `serve` serves, which is started for the chat if need be. With a
question, or where the terminal is not both input and output, one question is answered: the answer
goes to stdout, the calls go to stderr, and the exit status is 1 where there is no answer."""
_DEBUGGING = "No model is loaded; docs/function-calling.md shows what is read and printed."
_COMMANDS = {
    "serve": ("serve:serve", "serve the assistant and the model's /v1", ""),
    "ask": ("serve:ask", "ask the assistant; serves it for the question if need be", ""),
    "chat": ("chat:chat", "talk with a model that calls tools, in the terminal", _CHAT),
    "mcp": ("mcp:serve_mcp", "serve the tools to an MCP client, on stdin and stdout", ""),
    "render": ("debug:render", "show what a model would be given for a request", _DEBUGGING),
    "parse": ("debug:parse", "read content and calls out of a model's text", _DEBUGGING),
    "samples": ("samples:learn", "turn conversations into training text", _DEBUGGING),
}
"""What carries each out, in `cli`, and what is told of it."""
_FORMAT = f"""\
how calls are written: {", ".join(TOOL_FORMATS)} (default: TOOL_FORMAT, or else what the template
speaks, or else json_list)"""
_TEMPLATE = """\
the model's chat template: its GGUF file, its tokenizer_config.json, or Jinja (default: that of
MODEL_PATH, or else plain turns)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    # A closed terminal hangs up, and a script's background job ignores Ctrl-C unless told.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    _open_streams()
    try:
        # A command's modules are loaded with it: all together take a second.
        status: int = resolve_name(f"function_calling.cli.{options.run}")(options)
        sys.stdout.flush()
    except FunctionCallingError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # Python would complain when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _open_streams() -> None:
    """Put nothing in the place of what was closed, and speak UTF-8."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m function_calling",
        description="Serve a model that calls tools, ask the assistant that uses it, or look at "
        "what models are told, what they say and what they can learn.",
        epilog="`COMMAND --help` tells more of a command. The settings are environment variables; "
        "docs/settings.md lists them.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    parsers = {}
    for name, (run, told, more) in _COMMANDS.items():
        parsers[name] = subparsers.add_parser(name, help=told, description=more)
        parsers[name].set_defaults(run=run)

    def add(names: str, argument: str, told: str, **more: Any) -> None:
        for name in names.split():
            parsers[name].add_argument(argument, help=told, **more)

    def add_input(name: str, argument: str, told: str) -> None:
        told += ": a file, or - for standard input, which is the default"
        add(name, argument, told, nargs="?", default="-", metavar="FILE")

    add("ask", "query", "the question (default: an example)", nargs="?", type=_sendable)
    add("chat", "question", "asked instead of a conversation", nargs="?", type=_sendable)
    add("chat mcp", "--tools", "tool sets, as in the setting TOOLS", metavar="NAMES")
    add("serve ask chat", "--host", "address (default: %(default)s)", default="127.0.0.1")
    told = "the assistant's (default: PORT, or else 3000); /v1 has the next one"
    add("serve ask chat", "--port", told, type=int, default=os.environ.get("PORT") or "3000")
    add_input("render", "request", "OpenAI's chat-completions request, as JSON")
    add_input("parse", "text", "what a model wrote")
    add_input("samples", "conversations", "a conversation on each line, as JSON")
    told = "the tools offered: a list of OpenAI's tools, or a request that holds `tools`"
    add("parse", "--tools", told, metavar="FILE", required=True)
    add("render parse samples", "--format", _FORMAT, choices=TOOL_FORMATS, metavar="NAME")
    add("render samples", "--template", _TEMPLATE, metavar="FILE")
    parsers["parse"].set_defaults(template="")
    return parser


def _sendable(argument: str) -> str:
    """The argument, with a question mark for each byte that is no UTF-8."""
    return argument.encode(errors="replace").decode()


if __name__ == "__main__":
    sys.exit(main())
