"""The forced calls that `forced_calls.py` asks for, and what came of each."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import httpx2
from jsonschema import Draft202012Validator

from benchmarks.command_line import records
from benchmarks.random_schemas import MOST_ARGUMENTS, offers

# No token is shorter than a byte, and what stands around the arguments is shorter than they.
MOST_TOKENS = 2 * MOST_ARGUMENTS
TOOLS = 4
"""Tools of an offer: the engine reads a prompt once for the calls of all of them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One forced call that is asked for.

    Attributes:
        name: What the report calls it: the format and the number of the call.
    """

    name: str
    form: str
    body: dict[str, Any]

    @property
    def schemas(self) -> dict[str, Any]:
        """The schema of each tool that may be called, by the tool's name."""
        told = [tool.get("function", tool) for tool in self.body["tools"]]
        schemas = {function["name"]: function["parameters"] for function in told}
        choice = self.body["tool_choice"]
        names = schemas if choice == "required" else [choice.get("function", choice)["name"]]
        return {name: schemas[name] for name in names}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came; `problem` says why it is not valid, and is empty if it is."""

    request: Request
    reply: Any
    seconds: float
    problem: str

    @property
    def tokens(self) -> int:
        """Tokens of the reply."""
        usage = self.reply.get("usage") if isinstance(self.reply, dict) else None
        return int(usage.get("completion_tokens") or usage["output_tokens"]) if usage else 0


def requests(forms: list[str], calls: int, seed: int, each: int = 1) -> list[Request]:
    """The same tools for each format; of each tool there are `each` calls, sampled anew.

    Of an offer's calls the first is free to choose a tool, and each other names one in turn.
    """
    of_an_offer = TOOLS * each
    drawn = offers(-(-calls // of_an_offer), TOOLS, seed)
    return [
        Request(f"{form}-{call + 1}", form, _body(form, drawn[offer], place, seed + call))
        for form in forms
        for call in range(calls)
        for offer, place in [divmod(call, of_an_offer)]
    ]


def _body(form: str, tools: list[dict[str, Any]], place: int, seed: int) -> dict[str, Any]:
    function = tools[place % TOOLS]["function"]
    named = {"type": "function", "function": {"name": function["name"]}}
    return {
        "messages": [{"role": "user", "content": "Call a tool."}],
        "tools": tools,
        "tool_choice": named if place else "required",
        "parallel_tool_calls": False,
        "tool_format": form,
        "temperature": 1.5,
        "seed": seed,
        "max_tokens": MOST_TOKENS,
    }


def as_response(request: Request) -> Request:
    """The same call, asked for in the words of `/v1/responses`."""
    body = dict(request.body)
    body["input"], body["max_output_tokens"] = body.pop("messages"), body.pop("max_tokens")
    body["tools"] = [{"type": "function", **tool["function"]} for tool in body["tools"]]
    if body["tool_choice"] != "required":
        body["tool_choice"] = {"type": "function", **body["tool_choice"]["function"]}
    return replace(request, body=body)


def _made(reply: Any) -> tuple[list[dict[str, Any]], str]:
    """The calls of a reply, and why it ended."""
    if "output" in reply:
        return [each for each in reply["output"] if each["type"] == "function_call"], reply[
            "status"
        ]
    choice = reply["choices"][0]
    calls = choice["message"].get("tool_calls") or []
    return [call["function"] for call in calls], choice["finish_reason"]


def judge(request: Request, status: int, reply: Any) -> str:
    """Why the reply is not valid; "" if it is."""
    if status != httpx2.codes.OK:
        return f"status {status}"
    calls, reason = _made(reply)
    if reason not in ("tool_calls", "completed") or len(calls) != 1:
        return f"{len(calls)} calls, finish_reason {reason}"
    (function,) = calls
    if function["name"] not in request.schemas:
        return f"calls {function['name']!r}"
    try:
        arguments = json.loads(function["arguments"], parse_constant=_no_json)
    except ValueError as error:
        return f"the arguments are no JSON: {error}"
    validator = Draft202012Validator(request.schemas[function["name"]])
    return "; ".join(error.message for error in validator.iter_errors(arguments))


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def as_json(outcome: Outcome) -> str:
    """An outcome as a line of a file."""
    return json.dumps(asdict(outcome), ensure_ascii=False)


def known(path: Path | None, asked: list[Request]) -> list[Outcome]:
    """What came in an earlier run, from its file; none where there is no file.

    Raises:
        ValueError: The file is not that of an earlier run with the same options.
    """
    if path is None or not path.exists():
        return []
    wanted = {request.name: request for request in asked}
    outcomes = []
    for record in records(path):
        request = Request(**record.pop("request"))
        if wanted.get(request.name) != request:
            raise ValueError(f"{path} holds {request.name} of other options; wanted another --out.")
        outcomes.append(Outcome(request, **record))
    return outcomes
