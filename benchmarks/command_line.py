"""What the benchmarks have in common."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


def positive(text: str) -> int:
    """A whole number from one."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def records(path: Path) -> Iterator[Any]:
    """The values of a file of JSON lines, whose texts may hold what else ends lines, as U+2028."""
    yield from map(json.loads, StringIO(path.read_text(encoding="utf-8")))


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
