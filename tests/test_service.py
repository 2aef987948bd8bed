"""`POST /exchange` over HTTP, with a scripted model behind the real OpenAI client."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import bentoml
import pytest
from scripted_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    ScriptedServer,
    Turn,
    calls,
    says,
)
from starlette.testclient import TestClient

import service
from function_calling.errors import SettingsError
from function_calling.exchange.rates import FixedRates

QUERY = "I want to exchange 42 US dollars to Canadian dollars"
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
RIGHT = calls(("convert_currency", ARGUMENTS))
LEAKS = ("Traceback", 'File "', "Error:", "/function_calling/")

Served = Callable[..., TestClient]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serves the assistant with a model that plays the turns given."""
    with ExitStack() as stack:

        def serve(*turns: Turn, **settings: Any) -> TestClient:
            known = {"llama_url": "http://model", "llama_model": "scripted"} | settings
            monkeypatch.setattr(service, "settings", replace(service.settings, **known))
            if turns:
                scripted = ScriptedServer(*turns).client()
                monkeypatch.setattr(service, "llama_client", lambda *_: scripted)
            # BentoML would load the real model, to look for a remote one.
            monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
            app = service.ExchangeAssistant.to_asgi()
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield serve


def ask(client: TestClient, query: str = QUERY) -> Any:
    """Post a query; whatever comes back, it shows nothing of the code."""
    response = client.post("/exchange", json={"query": query})
    assert not [leak for leak in LEAKS if leak in response.text]
    return response


def test_a_query_is_answered_in_one_sentence(served: Served) -> None:
    """The answer is plain text, and nothing else."""
    response = ask(served(RIGHT, says(ANSWER)))
    assert (response.status_code, response.text) == (200, ANSWER)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_an_answer_tells_what_it_cost(served: Served) -> None:
    """Rounds, calls, tokens and how the answer was checked are headers."""
    headers = ask(served(RIGHT, says(ANSWER))).headers
    rounds = int(headers["x-rounds"])
    assert headers["x-tool-calls"] == "1"
    assert headers["x-prompt-tokens"] == str(rounds * PROMPT_TOKENS)
    assert headers["x-completion-tokens"] == str(rounds * COMPLETION_TOKENS)
    assert headers["x-grounding"] == "ok"


@pytest.mark.parametrize("body", ["{}", ""])
def test_a_query_has_a_default(served: Served, body: str) -> None:
    """No query at all asks the documented example."""
    headers = {"content-type": "application/json"}
    response = served(RIGHT, says(ANSWER)).post("/exchange", content=body, headers=headers)
    assert response.text == ANSWER


@pytest.mark.parametrize("query", ["", " \n\t"])
def test_an_empty_query_is_refused(served: Served, query: str) -> None:
    """OpenAI's error shape names the parameter."""
    response = ask(served(), query)
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "query is empty; wanted a question.",
        "type": "invalid_request_error",
        "param": "query",
        "code": None,
    }


def test_a_query_that_is_too_long_is_refused(served: Served) -> None:
    """The error names what it was and what it may be."""
    response = ask(served(max_query_length=10), "x" * 11)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == "query"
    assert error["message"] == "query has 11 characters; wanted 10 at most."


@pytest.mark.parametrize("body", ['{"query": 42}', '{"query": null}', '{"query"', "[]", "42"])
def test_a_body_of_another_shape_is_the_callers_fault(served: Served, body: str) -> None:
    """A wrong type, no object, half an object or nothing at all is a 4xx."""
    headers = {"content-type": "application/json"}
    response = served().post("/exchange", content=body, headers=headers)
    assert 400 <= response.status_code < 500
    assert not [leak for leak in LEAKS if leak in response.text]


def test_a_model_that_is_away_is_503(served: Served, unused_tcp_port: int) -> None:
    """Nothing listens where the model should be, and its name isn't known."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    response = ask(served(llama_url=url, llama_model=""))
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "server_error"
    assert "can't be reached" in response.json()["error"]["message"]


def test_the_assistant_is_ready_only_with_its_model(served: Served, unused_tcp_port: int) -> None:
    """`/readyz` says 503 while nothing listens where the model should be."""
    client = served(llama_url=f"http://127.0.0.1:{unused_tcp_port}")
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    "wrong",
    [
        ("exchange_money", ARGUMENTS),
        ("convert_currency", '{"from_currency": "USD", "to_curr'),
        ("convert_currency", "[]"),
        ("convert_currency", {"from_currency": "USD", "to_currency": "CAD"}),
        ("convert_currency", ARGUMENTS | {"to_currency": "XYZ"}),
        ("convert_currency", ARGUMENTS | {"amount": "many"}),
        ("convert_currency", ARGUMENTS | {"amount": -1}),
    ],
)
def test_a_wrong_call_can_be_mended(served: Served, wrong: tuple[str, Any]) -> None:
    """A made-up tool, broken JSON, a missing or an impossible argument is no end."""
    response = ask(served(calls(wrong), calls(("convert_currency", ARGUMENTS)), says(ANSWER)))
    assert (response.status_code, response.text) == (200, ANSWER)


def test_a_number_that_no_tool_returned_does_not_leave(served: Served) -> None:
    """A result retyped wrongly is replaced by what the tool said."""
    wrong = says("The converted amount of 42 US dollars to Canadian dollars is 131.59.")
    response = ask(served(RIGHT, *[wrong] * 30))
    assert response.text == ANSWER


@pytest.fixture
def ecb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings for real rates, without a network or anything kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return {"exchange_rates": "ecb", "rates_url": "off"}


def test_a_real_rate_is_told_with_its_day(served: Served, ecb: dict[str, str]) -> None:
    """One euro was 1.0956 US dollars on that day; no network is needed to know."""
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 100, "on": "2024-01-02"}
    said = "On 2 January 2024, 100 US dollars were 91.27 euros."
    client = served(calls(("convert_currency", arguments)), says(said), **ecb)
    response = ask(client, "What were 100 USD in EUR on 2024-01-02?")
    assert response.text == said
    assert response.headers["x-grounding"] == "ok"


def test_a_model_that_keeps_the_day_to_itself_is_not_trusted(
    served: Served, ecb: dict[str, str]
) -> None:
    """The tool's own sentence has it."""
    arguments = {"from_currency": "EUR", "to_currency": "USD", "amount": 5}
    turns = [calls(("convert_currency", arguments)), *[says("You get dollars.")] * 30]
    response = ask(served(*turns, **ecb), "What are 5 EUR in USD?")
    assert "at the European Central Bank's reference rate of 2026-10-30" in response.text
    assert response.headers["x-grounding"] == "fell-back"


def test_a_currency_without_a_rate_is_named(served: Served, ecb: dict[str, str]) -> None:
    """However often the model tries."""
    arguments = {"from_currency": "EUR", "to_currency": "RUB", "amount": 5}
    turns = [calls(("convert_currency", arguments))] * 30
    response = ask(served(*turns, **ecb), "What are 5 EUR in RUB?")
    assert response.status_code == 200
    assert "There is no rate for RUB" in response.text
    assert "end on 2022-03-01" in response.text


def test_the_to_do_list_is_kept_in_a_file(served: Served, tmp_path: Path) -> None:
    """Beside the conversions, where both are chosen; another server finds the same list."""
    chosen = {"tools": "currency,todo", "todo_db": str(tmp_path / "todo.db")}
    said = "I have added it."
    create = calls(("create_task", {"title": "Buy milk"}))
    first = served(create, says(said), **chosen)
    assert ask(first, "Note that I must buy milk").text == said
    second = served(calls(("list_tasks", {})), *[says("")] * 2, **chosen)
    assert ask(second, "What is on my list?").text == 'To do: "Buy milk".'


def test_the_to_do_list_is_closed_with_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What SQLite keeps beside its file while it is open is gone."""
    known = {"llama_url": "http://model", "llama_model": "scripted", "tools": "todo"}
    chosen = replace(service.settings, **known, todo_db=str(tmp_path / "todo.db"))
    scripted = ScriptedServer(calls(("create_task", {"title": "Buy milk"})), says("Added."))
    monkeypatch.setattr(service, "settings", chosen)
    monkeypatch.setattr(service, "llama_client", lambda *_: scripted.client())
    monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
    with TestClient(service.ExchangeAssistant.to_asgi()) as client:
        assert ask(client, "Note that I must buy milk").text == "Added."
        assert len(list(tmp_path.iterdir())) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["todo.db"]


def test_with_both_sets_a_conversion_is_answered_as_ever(served: Served) -> None:
    """The tool may be chosen, and its numbers are checked."""
    wrong = says("The converted amount of 42 US dollars to Canadian dollars is 131.59.")
    assert ask(served(RIGHT, says(ANSWER), tools="currency,todo")).text == ANSWER
    assert ask(served(RIGHT, *[wrong] * 30, tools="todo,currency")).text == ANSWER


def test_a_message_for_neither_set_is_turned_away(served: Served) -> None:
    """By the one tool that stands for both."""
    turned_away = calls(("reply_without_tool", {}))
    response = ask(served(turned_away, tools="currency,todo"), "Write me a poem")
    assert response.text == "I can only help with converting money or to-do tasks."


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"tools": "currency,tood"}, "TOOLS names 'tood': wanted currency, todo or module:"),
        ({"tools": "todo", "todo_db": "/no/such/folder/todo.db"}, "TODO_DB='/no/such/folder"),
    ],
)
def test_the_assistant_does_not_start_with_wrong_tools(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], named: str
) -> None:
    """The operator reads which variable is wrong."""
    known = {"llama_url": "http://model"} | chosen
    monkeypatch.setattr(service, "settings", replace(service.settings, **known))
    monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
    with pytest.raises(SettingsError, match=named):
        service.ExchangeAssistant()


def test_an_answer_that_is_not_latin_leaves_as_utf8(served: Served) -> None:
    """Other scripts arrive as they were written."""
    said = "42美元等于131.95加元。"
    assert ask(served(RIGHT, says(said)), "42美元是多少加元？").text == said


def test_the_assistant_does_not_start_without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes one by hand reads what to do."""
    monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
    with pytest.raises(SettingsError, match="start `service:ExchangeAssistant`"):
        service.ExchangeAssistant()


def test_the_page_and_the_schema_show_the_query() -> None:
    """BentoML's clients and Swagger page get description and default from the signature."""
    assert isinstance(service.ExchangeAssistant, bentoml.Service)
    routes = {each["route"]: each["input"] for each in service.ExchangeAssistant.schema()["routes"]}
    assert routes.keys() == {"/exchange", "/chat"}
    assert routes["/chat"]["properties"]["messages"]["description"]
    paths = service.ExchangeAssistant.openapi_spec.asdict()["paths"]
    answered = {str(status): each for status, each in paths["/chat"]["post"]["responses"].items()}
    assert answered["200"]["content"].keys() == {"text/event-stream"}
    query = routes["/exchange"]["properties"]["query"]
    assert query["default"] == QUERY
    assert query["description"]


def test_the_fixed_rate_gives_the_documented_amount() -> None:
    """42 at 3.14159 is 131.95, as the README says."""
    assert round(Decimal(42) * FixedRates().rate("USD", "CAD").value, 2) == Decimal("131.95")
