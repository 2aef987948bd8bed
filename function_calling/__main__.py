"""The command line of the project; `python -m function_calling --help` tells of its commands."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from pkgutil import resolve_name

from function_calling.errors import FunctionCallingError
from function_calling.settings import TOOL_FORMATS

_CHAT = """\
Talk with a model that calls the chosen tools, in the terminal. The model is that of OPENAI_BASE_URL
(with OPENAI_API_KEY, and OPENAI_MODEL_NAME or else the first that is listed there), else that of
LLAMA_URL, else the one that `serve` serves, which is started for the chat if need be. With a
question, or where the terminal is not both input and output, one question is answered: the answer
goes to stdout, the calls go to stderr, and the exit status is 1 where there is no answer."""
_RENDER = """\
Print what a model would be given for a request to /v1/chat/completions: the prompt and the
grammars. No model is loaded. An error is the one that /v1 would answer with."""
_PARSE = """\
Print the content and the calls that /v1 makes of a text that a model wrote; a call is a line
`call: name {arguments}`. Behind a call's start the text is followed as far as the grammar of the
tools' schemas allows; what it forces is written without. Where the text leaves it within a call,
that call isn't made, and stderr tells where."""
_SAMPLES = """\
Turn recorded conversations into training text. Each line that is read is an object of JSON with
OpenAI's `messages` and `tools`. Each line that is written has `text`, the conversation as serving
shows it to the model, and `spans`, the places [start, end) in it, in characters, that the assistant
wrote, each up to where it stopped. A conversation of which a later prompt tells turns otherwise
becomes several. What is wrong with a line is told on stderr; the others are written."""
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

    def command(name: str, run: str, told: str, more: str = "") -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, help=told, description=more)
        added.set_defaults(run=run)
        return added

    served = command("serve", "serve:serve", "serve the assistant and the model's /v1")
    asked = command("ask", "serve:ask", "ask the assistant; serves it for the question if need be")
    asked.add_argument(
        "query", nargs="?", type=_sendable, help="the question (default: an example)"
    )
    chatting = command(
        "chat", "chat:chat", "talk with a model that calls tools, in the terminal", _CHAT
    )
    told = "asked instead of a conversation"
    chatting.add_argument("question", nargs="?", type=_sendable, help=told)
    served_mcp = command(
        "mcp", "mcp:serve_mcp", "serve the tools to an MCP client, on stdin and stdout"
    )
    for each in (chatting, served_mcp):
        each.add_argument("--tools", metavar="NAMES", help="tool sets, as in the setting TOOLS")
    for each in (served, asked, chatting):
        each.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
        each.add_argument(
            "--port",
            type=int,
            default=os.environ.get("PORT") or "3000",
            help="the assistant's (default: PORT, or else 3000); /v1 has the next one",
        )

    told = "show what a model would be given for a request"
    render = command("render", "debug:render", told, _RENDER)
    _add_input(render, "request", "OpenAI's chat-completions request, as JSON")
    told = "read content and calls out of a model's text"
    parse = command("parse", "debug:parse", told, _PARSE)
    _add_input(parse, "text", "what a model wrote")
    told = "the tools offered: a list of OpenAI's tools, or a request that holds `tools`"
    parse.add_argument("--tools", metavar="FILE", required=True, help=told)
    parse.set_defaults(template="")
    samples = command("samples", "samples:learn", "turn conversations into training text", _SAMPLES)
    _add_input(samples, "conversations", "a conversation on each line, as JSON")
    for each in (render, parse, samples):
        each.add_argument("--format", choices=TOOL_FORMATS, metavar="NAME", help=_FORMAT)
    for each in (render, samples):
        each.add_argument("--template", metavar="FILE", help=_TEMPLATE)
    return parser


def _sendable(argument: str) -> str:
    """The argument, with a question mark for each byte that is no UTF-8."""
    return argument.encode(errors="replace").decode()


def _add_input(command: argparse.ArgumentParser, name: str, meaning: str) -> None:
    told = f"{meaning}: a file, or - for standard input, which is the default"
    command.add_argument(name, nargs="?", default="-", metavar="FILE", help=told)


if __name__ == "__main__":
    sys.exit(main())
