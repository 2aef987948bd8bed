"""What the benchmarks have in common."""

import argparse
import json
import math
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from function_calling.errors import FunctionCallingError

Given = TypeVar("Given")
Result = TypeVar("Result")


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Run a benchmark with the process's arguments; whatever ends it ends its servers, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except FunctionCallingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def positive(text: str) -> int:
    """A whole number from one."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def records(path: Path) -> Iterator[Any]:
    """The values of a file of JSON lines, whose texts may hold what else ends lines, as U+2028."""
    yield from map(json.loads, StringIO(path.read_text(encoding="utf-8")))


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table's lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *numbers])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table's lines in Markdown, behind an empty one."""
    yield ""
    for row in chain((head, ["---"] * len(head)), rows):
        yield f"| {' | '.join(row)} |"


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    """A tool as OpenAI spells it, of which every parameter is required.

    A property is a type's name, the texts that are allowed, or a schema.
    """
    kinds: dict[type, Callable[[Any], Any]] = {
        str: lambda kind: {"type": kind},
        list: lambda texts: {"type": "string", "enum": texts},
        dict: lambda schema: schema,
    }
    typed = {key: kinds[type(each)](each) for key, each in properties.items()}
    parameters = {"type": "object", "properties": typed, "required": list(typed)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def at_once(
    work: Callable[[Given], Result], given: Iterable[Given], concurrency: int
) -> Iterator[Result]:
    """The results as they come in; an error ends what has not begun."""
    pool = ThreadPoolExecutor(concurrency)
    try:
        for done in as_completed([pool.submit(work, each) for each in given]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)
