"""The capacity plan's arithmetic, by hand-made cases that a reader can do in the head."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.capacity import Plan, Query, Server, main, money, plan, told

QUERY = Query(Decimal(1000), Decimal(50))
SERVER = Server(prompt_rate=Decimal(1000), completion_rate=Decimal(50), price=Decimal("0.10"))
"""Two seconds a query."""
LOAD = ["--queries-per-second=1", "--prompt-rate=1", "--completion-rate=1", "--price=1"]


def planned(rate: str, utilisation: str = "0.5", spare: int = 0) -> Plan:
    """The plan for so many queries a second."""
    return plan(Decimal(rate), QUERY, SERVER, Decimal(utilisation), spare)


@pytest.mark.parametrize(("rate", "servers"), [("0.25", 1), ("0.26", 2), ("10", 40)])
def test_servers_are_whole_and_enough(rate: str, servers: int) -> None:
    """Two seconds of a server a query, of which half is planned for."""
    assert planned(rate).server_seconds == 2
    assert planned(rate).servers == servers


def test_the_plan_is_exact() -> None:
    """Binary fractions would make 0.7 x 10 more than seven servers; money is to the cent."""
    assert plan(Decimal("2.1"), QUERY, SERVER, Decimal("0.7"), 0).servers == 6
    assert planned("1").an_hour == Decimal("0.40")
    assert planned("1", spare=1).an_hour == Decimal("0.50")
    assert planned("1", spare=1).a_thousand == Decimal("0.50") * 1000 / 3600
    assert [planned(rate).assistants for rate in ("1", "100")] == [2, 7]
    amounts = ("0.005", "0.004", "1234.5")
    assert [money(Decimal(each)) for each in amounts] == ["0.01", "0.00", "1,234.50"]


def test_tokens_are_those_that_answers_told(tmp_path: Path) -> None:
    """Answers that told none, such as errors, do not count."""
    answers = [
        {"events": [{"usage": {"prompt_tokens": 900, "completion_tokens": 40}}]},
        {"events": [{"type": "text"}, {"type": "error"}]},
        {"events": [{}, {"usage": {"prompt_tokens": 1001, "completion_tokens": 61}}]},
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in answers))
    assert told(file) == Query(Decimal("950.5"), Decimal("50.5"))


def test_a_file_without_counts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, with what is wrong."""
    for name, text in (("empty", ""), ("other", "[]"), ("broken", "{")):
        file = tmp_path / name
        file.write_text(text)
        assert main([*LOAD, "--answers", str(file)]) == 2
        assert "The answers can't be read: " in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "many", "nan", "inf"])
def test_a_load_that_is_none_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As is a utilisation that no server has."""
    for wrong in (["--queries-per-second", rate], ["--utilisation", "1.1"]):
        with pytest.raises(SystemExit):
            main([*LOAD, *wrong])
    told = capsys.readouterr().err
    assert f"{rate!r} is not a number above 0" in told
    assert "'1.1' is more than 1" in told
