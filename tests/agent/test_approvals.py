"""Calls that need a yes, where the client of `POST /chat` can ask a person between two requests."""

import asyncio
import json
from typing import Any

import pytest
from bureau import agent, results, user
from scripted_server import ScriptedServer, Turn, calls, says
from served import Served, chat

from function_calling.agent import approvals
from function_calling.agent.approvals import Approvals
from function_calling.agent.events import (
    ApprovalEvent,
    ChatEvent,
    DoneEvent,
    ToolResultEvent,
)
from function_calling.agent.grounding import SAME_AGAIN
from function_calling.agent.messages import MOST_MESSAGES
from function_calling.errors import ToolError
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import needs_approval
from tools import TOOL_SETS

QUERY = "Delete the milk and Bob"
LIST = ("list_tasks", {})
MILK, BOB = (("delete_task", {"id": n}) for n in (1, 2))
GONE = "They are gone."


class Shop:
    """Sells what a person said yes to, once it is open."""

    def __init__(self) -> None:
        self.sold: list[int] = []
        self.sold_out = False
        self.begun, self.open = asyncio.Event(), asyncio.Event()

    def look(self, n: int) -> str:
        """Look at a thing."""
        if n > 1:
            raise ToolError("There is 1 shelf.", advice="Give 1.")
        return "There are 7 apples."

    @needs_approval
    async def sell(self, n: int = 1) -> str:
        """Sell things."""
        if self.sold_out:
            raise ToolError("There are none.")
        self.sold.append(n)
        self.begun.set()
        await self.open.wait()
        return f"sold {n}"


class Client:
    """What a page does: keeps the conversation, and asks its person."""

    def __init__(self, app: Served, patch: pytest.MonkeyPatch, store: TodoStore) -> None:
        self.messages: list[dict[str, Any]] = [user(QUERY)]
        self.store = store
        self.shop = Shop()
        self.shop.open.set()
        self._app, self._patch = app, patch
        self.server = ScriptedServer()

    def plays(self, *turns: Turn, **settings: Any) -> "Client":
        """The model, and what the server goes by."""
        self.server = ScriptedServer(*turns)
        shop = ToolSet(functions=[self.shop.sell, self.shop.look], topic="things")
        own = {"todo": lambda _: todo_tools(self.store), "shop": lambda _: shop}
        chosen = {"tools": "todo", **settings}
        self.http = self._app.use(self._patch, self.server.client(), TOOL_SETS | own, **chosen)
        return self

    def post(self, **approvals: Any) -> list[ChatEvent]:
        """One request; what it tells is kept where a person must be asked."""
        _, events = chat(self.http, self.messages, **approvals)
        if isinstance(events[-1], ApprovalEvent):
            self.messages += events[-1].messages
        return events

    def says(self, said: bool, to: ChatEvent) -> list[ChatEvent]:
        """The person's yes or no."""
        assert isinstance(to, ApprovalEvent)
        return self.post(approvals={to.id: said})

    @property
    def titles(self) -> list[str]:
        """What is on the list."""
        return [task.title for task in self.store.tasks()]


@pytest.fixture
def client(app: Served, monkeypatch: pytest.MonkeyPatch, store: TodoStore) -> Client:
    """A client that has asked, and a list of milk and Bob."""
    return Client(app, monkeypatch, store)


def kinds(events: list[ChatEvent]) -> list[str]:
    """The events, texts as one, results with what they say of themselves."""
    told = [
        f"{'ok' if event.ok else 'failed'} {event.name}"
        if isinstance(event, ToolResultEvent)
        else f"{event.type} {getattr(event, 'name', '')}".strip()
        for event in events
    ]
    return [each for at, each in enumerate(told) if each != "text" or told[at - 1] != "text"]


@pytest.mark.parametrize(
    ("said", "titles", "result", "content"),
    [
        (True, ["Call Bob"], "ok delete_task", '{"id": 1,'),
        (False, ["Buy milk", "Call Bob"], "failed delete_task", "delete_task was not called: the"),
    ],
)
def test_a_turn_ends_with_the_question_and_goes_on_with_what_was_said(
    *, client: Client, said: bool, titles: list[str], result: str, content: str
) -> None:
    """The id was listed before; the model is not asked again for what it has decided."""
    client.plays(calls(LIST), calls(MILK), says("Well."))
    asked = client.post(approvals={})
    listed = ["tool_call list_tasks", "ok list_tasks", "tool_call delete_task"]
    assert kinds(asked) == [*listed, "approval delete_task"]
    question = asked[-1]
    assert isinstance(question, ApprovalEvent)
    assert (question.rounds, question.tool_calls, question.arguments) == (2, 2, '{"id": 1}')
    assert [each["role"] for each in question.messages] == ["assistant", "tool", "assistant"]
    assert client.titles == ["Buy milk", "Call Bob"]
    answered = client.says(said, question)
    assert kinds(answered) == [result, "text", "done"]
    assert isinstance(answered[-1], DoneEvent)
    assert (answered[-1].rounds, len(client.server.requests), client.titles) == (1, 3, titles)
    last = client.server.requests[-1]["messages"]
    roles = ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert [each["role"] for each in last] == roles
    assert last[-1]["content"].startswith(content)
    assert last[-1]["tool_call_id"] == question.id


def test_each_call_is_asked_for_in_its_turn(client: Client) -> None:
    """What needs no yes is done before and behind, once, and a no to one is no no to the next."""
    new = ("create_task", {"title": "Buy tea"})
    client.plays(calls(LIST, new), calls(LIST, MILK, BOB, MILK, new), says(GONE))
    first = client.post(approvals={})
    assert kinds(first)[-2:] == ["ok list_tasks", "approval delete_task"]
    again = client.post(approvals={})
    assert kinds(again) == ["approval delete_task"]
    assert isinstance(again[-1], ApprovalEvent)
    assert again[-1].messages == []
    second = client.says(False, again[-1])
    assert kinds(second) == ["failed delete_task", "approval delete_task"]
    assert client.titles == ["Buy milk", "Call Bob", "Buy tea"]
    last = client.says(True, second[-1])
    assert kinds(last) == ["ok delete_task", "failed delete_task", "ok create_task", "text", "done"]
    assert client.titles == ["Buy milk", "Buy tea"]
    assert [each.startswith(SAME_AGAIN) for each in results(client.server)[-4:]] == [0, 0, 1, 1]
    assert len(client.server.requests) == 3


def test_an_answer_must_tell_what_was_found_before_the_question(client: Client) -> None:
    """The tools tell it where the model doesn't, and an assumption is told with the question."""
    wanted = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
    money = calls(("convert_currency", wanted))
    client.messages = [user("What are 43 dollars in Canada? And delete the milk.")]
    client.plays(
        money, money, calls(LIST), calls(MILK), *[says("Done.")] * 2, tools="todo,currency"
    )
    *_, text, question = client.post(approvals={})
    assert getattr(text, "text", "") == "I took 42 as the amount."
    *_, text, _ = client.says(True, question)
    assert "131.95" in getattr(text, "text", "")


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (1, "There are 7 apples. sell was not called: the user said no."),
        (2, "I can't answer that. sell was not called: the user said no."),
    ],
)
def test_what_was_found_before_the_question_is_known_from_what_failed(
    client: Client, n: int, told: str
) -> None:
    """Both may be words; that of one which failed is in part for the model alone."""
    client.plays(calls(("look", {"n": n})), calls(("sell", {})), says(""), tools="shop")
    question = client.post(approvals={})[-1]
    *_, text, _ = client.says(False, question)
    assert getattr(text, "text", "") == told
    assert not [each for each in client.server.requests[-1]["messages"] if "ok" in each]


def test_the_same_decision_is_carried_out_once(client: Client) -> None:
    """Also where the second comes with a no, as it has been done; what was refused may be done."""
    client.plays(calls(LIST), calls(BOB), *[says(GONE)] * 4)
    question = client.post(approvals={})[-1]
    client.says(False, question)
    done = [client.says(said, question) for said in (True, True, False)]
    assert [kinds(events) for events in done] == [["ok delete_task", "text", "done"]] * 3
    assert client.titles == ["Buy milk"]


def test_what_the_model_does_next_is_done_once_too(client: Client) -> None:
    """A request that comes twice has the model asked twice; what it then changes has new ids."""
    new = calls(("create_task", {"title": "Buy tea"}))
    client.plays(calls(LIST), calls(MILK), *[new, says("Done.")] * 2)
    question = client.post(approvals={})[-1]
    done = [kinds(client.says(True, question)) for _ in range(2)]
    one, *others = ["ok delete_task", "tool_call create_task", "ok create_task", "text", "done"]
    assert done == [[one, *others]] * 2
    assert client.titles == ["Call Bob", "Buy tea"]


def test_a_yes_holds_for_a_call_like_one_that_failed(client: Client) -> None:
    """The model may make a call again that changed nothing; a person has said yes to it."""
    client.plays(*[calls(("sell", {"n": 7}))] * 2, says("Sold."), tools="shop")
    client.shop.sold_out = True
    question = client.says(True, client.post(approvals={})[-1])[-1]
    client.shop.sold_out = False
    assert kinds(client.says(True, question)) == ["ok sell", "text", "done"]
    assert client.shop.sold == [7]


def left_open(*wanted: tuple[str, Any]) -> list[dict[str, Any]]:
    """A conversation whose calls, a0 and so on, were left open; text is sent as it is."""
    texts = [(name, it if isinstance(it, str) else json.dumps(it)) for name, it in wanted]
    made = [
        {"id": f"a{at}", "type": "function", "function": {"name": name, "arguments": text}}
        for at, (name, text) in enumerate(texts)
    ]
    return [user(QUERY), {"role": "assistant", "content": None, "tool_calls": made}]


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_decision_that_comes_twice_at_once_is_carried_out_once(leaves: bool) -> None:
    """The second waits for the result of the first, also where the first's client has left."""
    shop, history = Shop(), left_open(("sell", {"n": 2}))
    server, said = ScriptedServer(*[says("Sold.")] * 2), Approvals({"a0": True}, {})
    host = agent(server, shop.sell, approvals=said)
    requests = [asyncio.create_task(host.answer(history)) for _ in range(2)]
    await shop.begun.wait()
    if leaves:
        requests.pop(0).cancel()
        await asyncio.sleep(0)
    shop.open.set()
    answers = [text for text, _ in await asyncio.gather(*requests)]
    assert (shop.sold, answers) == ([2], ["Sold."] * len(requests))


async def test_only_the_last_decisions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has an end, and holds what came of them alone: a task holds its whole request."""
    monkeypatch.setattr(approvals, "MOST_KEPT", 2)
    shop, said = Shop(), Approvals({"a0": True}, {})
    shop.open.set()
    for n in (1, 2, 3, 3, 2, 1):
        host = agent(ScriptedServer(says("Sold.")), shop.sell, approvals=said)
        await host.answer(left_open(("sell", {"n": n})))
    assert shop.sold == [1, 2, 3, 1]
    assert not [each for each in said.carried_out.values() if isinstance(each, asyncio.Task)]


def test_a_no_holds_for_any_call(client: Client) -> None:
    """Also for one that needs no yes."""
    client.plays(says("As you like."))
    client.messages = left_open(("create_task", {"title": "Buy tea"}))
    assert kinds(client.post(approvals={"a0": False})) == ["failed create_task", "text", "done"]
    assert "Buy tea" not in client.titles


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        (*MILK, "Which id do you mean? No list shows 1."),
        ("sell", '{"n', "sell was not called: its arguments are wrong. The"),
        ("rent", {}, 'There is no tool "rent".'),
    ],
)
def test_a_yes_stands_in_for_no_check(client: Client, name: str, arguments: Any, why: str) -> None:
    """A client may make a call up; the model reads what is wrong, in a history without it."""
    client.plays(says("No."), says("No."), tools="todo,shop")
    client.messages = left_open((name, arguments))
    events = client.post(approvals={"a0": True})
    assert kinds(events)[0] == f"failed {name}"
    assert results(client.server)[0].startswith(why)
    assert (client.shop.sold, client.titles) == ([], ["Buy milk", "Call Bob"])
    (call,) = client.server.requests[0]["messages"][2]["tool_calls"]
    assert isinstance(json.loads(call["function"]["arguments"]), dict)


def test_what_a_reply_listed_is_no_ground_for_its_own_calls(client: Client) -> None:
    """Nor is it in the request that goes on: the model has not read it as it wrote them."""
    client.plays(calls(LIST, ("sell", {}), MILK), says("No."), says("No."), tools="todo,shop")
    answered = client.says(True, client.post(approvals={})[-1])
    assert kinds(answered)[:2] == ["ok sell", "failed delete_task"]
    assert client.titles == ["Buy milk", "Call Bob"]


def test_who_does_not_say_that_it_can_ask_is_not_asked(client: Client) -> None:
    """`APPROVAL` decides, also where the field is null."""
    for approval, fields, left in (("refused", {}, 2), ("given", {"approvals": None}, 1)):
        client.plays(calls(LIST), calls(MILK), says("Well."), approval=approval)
        assert kinds(client.post(**fields))[-1] == "done"
        assert len(client.titles) == left


def test_a_question_that_fills_its_bounds_can_be_gone_on_with(client: Client) -> None:
    """What its turn has added has bounds of its own."""
    older = [user("Hi"), {"role": "assistant", "content": "Hello."}] * (MOST_MESSAGES // 2)
    client.messages = [*older[1:], user(QUERY)]
    bound = len(json.dumps(client.messages))
    client.plays(calls(LIST), calls(MILK), says(GONE), max_chat_length=bound)
    assert kinds(client.says(True, client.post(approvals={})[-1]))[-1] == "done"
    client.messages[-1]["content"] = "x" * bound
    response = client.http.post("/chat", json={"messages": client.messages, "approvals": {}})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages")
