"""The benchmark of this project beside others: turns, lines, what it keeps, and its other sides."""

import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from openai import OpenAI

from benchmarks import bench, bench_door, bench_job, bench_layer
from benchmarks.bench_turns import Line, compared, in_turns
from benchmarks.exchange_cases import Case, Conversion

DOLLARS = Case("a", "plain", "42 USD to CAD", (Conversion("USD", "CAD", Decimal(42)),))
"""774.65, at 18.4440."""
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}


def test_who_begins_changes_and_medians_are_compared() -> None:
    """So neither side has the warmer machine; one slow round counts for nothing."""
    asked: list[str] = []

    def side(name: str, seconds: list[float]) -> Any:
        def work(number: int) -> float:
            asked.append(name)
            return seconds[number]

        return work

    given = in_turns({"ours": side("a", [0.2, 9, 0.2]), "theirs": side("b", [0.1, 0.1, 9])}, 3)
    assert "".join(asked) == "baabba"
    line = compared("a reply", "ms", given, scale=1e3)
    assert line == Line("a reply", "ms", 200, "theirs", 100, 3)
    assert line.ratio == 2


def test_lines_are_told_as_they_come_and_kept_by_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Markdown, JSON and a picture of those with two sides; a part replaces its own alone.

    A part that there isn't is refused before anything is measured.
    """
    layer = [Line("a < b", "ms", 2, "other", 1, 7, "a note"), Line("memory", "MB", 5)]
    monkeypatch.setattr(bench_layer, "lines", lambda: iter(layer))
    for seconds in (3, 1):
        bench.keep(tmp_path, "start", [Line("import", "s", seconds, "other", 2)])
    bench.main(["layer", "--out", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "| a < b | ms | 2 | 1 | other | 2.00 | 7 | a note |",
        "| memory | MB | 5 |  |  |  | 1 |  |",
    ]
    told = json.loads((tmp_path / "bench.json").read_text())
    assert told["layer"]["lines"] == [asdict(line) | {"ratio": line.ratio} for line in layer]
    assert [line["ours"] for line in told["start"]["lines"]] == [1]
    picture = ElementTree.parse(tmp_path / "bench.svg").getroot()
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["layer: a < b", "2.00", "start: import", "0.50"]
    with pytest.raises(SystemExit):
        bench.main(["layer", "doors"])
    assert "no part is doors; parts are door, layer" in capsys.readouterr().err


def client(*replies: dict[str, Any], asked: list[Any] | None = None) -> OpenAI:
    """A client of a server that says these messages, and notes what it was asked."""
    waiting = iter(replies)

    def reply(request: httpx2.Request) -> httpx2.Response:
        if asked is not None:
            asked.append(json.loads(request.content))
        choice = {"index": 0, "finish_reason": "stop", "message": next(waiting)}
        told = {"id": "a", "object": "chat.completion", "created": 1, "model": "m"}
        return httpx2.Response(200, json={**told, "choices": [choice]})

    http = httpx2.Client(transport=httpx2.MockTransport(reply))
    return OpenAI(base_url="http://a/v1", api_key="none", http_client=http)


def call(arguments: dict[str, Any]) -> dict[str, Any]:
    """A message that converts."""
    function = {"name": "convert_currency", "arguments": json.dumps(arguments)}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def words(text: str) -> dict[str, Any]:
    """A message in words."""
    return {"role": "assistant", "content": text}


def test_the_two_call_loop_answers_from_what_it_converted() -> None:
    """At the evaluation's rates, which the second call reads."""
    asked: list[Any] = []
    model = client(call(ARGUMENTS), words("You get 774.65 Canadian dollars."), asked=asked)
    assert bench_job._looped(model, DOLLARS).right
    first, second = asked
    assert first["tool_choice"] == "auto"
    assert "tools" not in second
    assert json.loads(second["messages"][-1]["content"])["converted_amount"] == 774.65


@pytest.mark.parametrize(
    "replies",
    [
        [words("They are 774 dollars.")],
        [call({**ARGUMENTS, "amount": "much"})],
        [call({"amount": 42})],
        [call(ARGUMENTS), words("You get 77.")],
    ],
)
def test_the_two_call_loop_that_goes_wrong_is_not_right(replies: list[dict[str, Any]]) -> None:
    """Whatever its model does, the benchmark goes on."""
    assert not bench_job._looped(client(*replies), DOLLARS).right


def test_a_forced_call_is_compared_with_the_same_json() -> None:
    """Of a side that writes something else no time is told."""
    written = words(json.dumps(ARGUMENTS))
    assert bench_door._forced("ours", client(call(ARGUMENTS)), 1) > 0
    assert bench_door._forced("llama.cpp", client(written), 1) > 0
    with pytest.raises(ValueError, match="which the schema does not allow"):
        bench_door._forced("llama.cpp", client(words('{"amount": 42}')), 1)


@pytest.mark.serve
def test_the_layer_is_measured_on_the_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to ask has a request and a token, and the bare events beside both."""
    monkeypatch.setattr(bench_layer, "ROUNDS", 2)
    lines = list(bench_layer.lines())
    assert len(lines) == 2 * len(bench_layer.WAYS)
    assert all(line.against == "bare events" and line.ratio for line in lines)
