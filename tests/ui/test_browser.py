"""The page in Chromium, over the real service with a scripted model, and once with a real one."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, served_by_uvicorn
from pseudo_terminal import tasks
from scripted_server import ScriptedServer, Turn, calls, hangs, says
from served import Served

from function_calling.agent.model_call import llama_client
from function_calling.door.access import Access
from function_calling.settings import Settings
from function_calling.todo.store import TodoStore
from function_calling.toolbox.tool_sets import ToolSet
from tools import EXAMPLE

pytest.importorskip("playwright.sync_api", reason="playwright is not installed.")
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
CONVERTS = calls(("convert_currency", ARGUMENTS))
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1100, "height": 800}

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000  # milliseconds, for a busy machine
expect.set_options(timeout=PATIENCE)

Scripted = Callable[..., ScriptedServer]
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def site(app: Served) -> Iterator[str]:
    """The URL of the real service."""
    with served_by_uvicorn(app.http.app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def scripted(app: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """Have the service's model play the turns given, under the settings given."""

    def script(*turns: Turn, **options: Any) -> ScriptedServer:
        server = ScriptedServer(*turns)
        app.use(monkeypatch, server.client(), **options)
        return server

    yield script
    app.assistant.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, site: str) -> Iterator[Visit]:
    """Open the page; it asks no other host, logs no error but of a response, and breaks no rule."""
    contexts: list[Any] = []
    asked: list[str] = []
    logged: list[str] = []

    def open_page(url: str = site, **options: Any) -> Page:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url.removeprefix(url)))
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(f"{url}/ui")
        return page

    yield open_page
    for each in contexts:
        each.close()
    assert {each for each in asked if each[:5] != "data:"} <= {"/ui", "/ui/about", "/chat"}
    assert not [each for each in logged if not each.startswith("Failed to load resource")]


def ask(page: Page, question: str) -> None:
    """Type a question and press Enter."""
    page.get_by_label("Your message").fill(question)
    page.keyboard.press("Enter")


def events(*sent: dict[str, Any]) -> str:
    """The events as a stream holds them."""
    return "".join(f"data: {json.dumps(each)}\n\n" for each in sent)


def test_a_question_shows_its_call_its_result_and_its_answer(
    scripted: Scripted, visit: Visit
) -> None:
    """The next question has the answer before it, and no call."""
    server = scripted(CONVERTS, says(ANSWER), CONVERTS, says(ANSWER))
    page = visit()
    page.get_by_role("button", name=EXAMPLE).click()
    expect(page.locator(".answer")).to_have_text(ANSWER)
    expect(page.get_by_label("Your message")).to_be_focused()
    step = page.get_by_role("listitem").filter(has_text="convert_currency").last
    expect(step).to_contain_text('convert_currency  {"from_currency": "USD", "to_currency": "CAD"')
    expect(step).to_contain_text(f"✓ {ANSWER}")
    expect(step.get_by_text(re.compile(r"^ \d+\.\d\d s$"))).to_be_visible()
    step.get_by_text("Full result").click()
    expect(step.locator("pre")).to_contain_text('"rate": "3.14159"')
    expect(page.get_by_text("1 call · ")).to_contain_text("30 tokens · numbers checked")
    expect(page.get_by_role("status")).to_have_text(ANSWER)
    ask(page, "And 42 more?")
    expect(page.locator(".answer")).to_have_text([ANSWER, ANSWER])
    said = [(each["role"], each["content"]) for each in server.requests[2]["messages"][1:]]
    assert said == [("user", EXAMPLE), ("assistant", ANSWER), ("user", "And 42 more?")]
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("button", name=EXAMPLE)).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)


@pytest.mark.parametrize(("button", "left"), [("Allow", ["Call Bob"]), ("Refuse", None)])
def test_a_deletion_waits_for_a_yes(
    scripted: Scripted, visit: Visit, tmp_path: Path, button: str, left: list[str] | None
) -> None:
    """It is done after that alone, once, however often the button is pressed."""
    path = tmp_path / "todo.db"
    store = TodoStore(str(path))
    store.create("Buy milk")
    store.create("Call Bob")
    listed, delete = calls(("list_tasks", {})), calls(("delete_task", {"id": 1}), ids="b")
    scripted(listed, delete, says("So be it."), tools="todo", todo_db=str(path))
    page = visit()
    ask(page, "Delete the milk task")
    question = page.get_by_role("group", name="May delete_task run?")
    expect(question).to_be_focused()
    assert len(tasks(path)) == 2
    question.get_by_role("button", name=button).dblclick()
    expect(page.locator(".step").last).to_contain_text("✓" if left else "the user said no")
    expect(page.get_by_text("2 calls · ")).to_be_visible()
    expect(page.locator(".answer")).to_have_text("So be it.")
    assert [title for _, title, _ in tasks(path)] == (left or ["Buy milk", "Call Bob"])
    store.close()


def test_a_running_answer_is_stopped(scripted: Scripted, visit: Visit) -> None:
    """By Esc; the model stops, and what was found stays known."""
    server = scripted(CONVERTS, hangs(), says("Nothing else."), says("Nothing else."))
    page = visit()
    ask(page, EXAMPLE)
    expect(page.locator(".answer")).to_have_text("Well.")
    ask(page, "Is that all?")  # not while an answer is under way
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.").first).to_be_visible()
    ending = time.monotonic() + 10
    while not server.closed:
        assert time.monotonic() < ending
        page.wait_for_timeout(20)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    said = [each["content"] for each in server.requests[2]["messages"][1:4]]
    assert said == [EXAMPLE, "Well.…", "Is that all?"]


MARKUP = "<script>document.title='taken'</script>\n<img src=x onerror=\"document.title='taken'\">"


def test_what_models_and_tools_write_is_text(scripted: Scripted, visit: Visit) -> None:
    """Also where it looks like markup, or would turn the direction of writing."""

    def show_page() -> str:
        """Show a page."""
        return f"{MARKUP}\u202e"

    sets = {"pages": lambda _: ToolSet(functions=[show_page], first_choice="auto")}
    turns = calls(("show_page", f'{{"x": "{MARKUP[:8]}"}}')), calls(("show_page", {})), says(MARKUP)
    scripted(*turns, tool_sets=sets, tools="pages")
    page = visit()
    ask(page, MARKUP)
    expect(page.locator(".answer")).to_have_text(MARKUP)
    step = page.locator(".step").last
    expect(step).to_contain_text(f"✓ {MARKUP}\ufffd")
    expect(page.locator("h2")).to_have_text(MARKUP)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.locator(".answer").inner_text() == MARKUP
    assert page.title() == "Assistant"


def test_a_failure_is_told_and_the_conversation_goes_on(scripted: Scripted, visit: Visit) -> None:
    """Whatever answers in the service's place, or nothing; the question can be mended."""
    scripted(CONVERTS, says(ANSWER))
    busy = {"error": {"message": "The model is busy."}}
    failures: dict[str, Any] = {
        "The server can't be reached.": None,
        "The connection was cut": {"body": ""},
        "no memory": {"body": events({"type": "error", "error": {"message": "no memory"}})},
        "The server refused with status 502.": {"status": 502, "body": "<html>"},
        "The model is busy. Try again in 7 seconds.": {
            "status": 503,
            "headers": {"retry-after": "7"},
            "json": busy,
        },
    }
    replies = list(failures.values())

    def answer(route: Route) -> None:
        reply = replies.pop(0)
        route.fulfill(**reply) if reply else route.abort()

    page = visit()
    page.route("**/chat", answer, times=len(replies))
    for told in failures:
        ask(page, EXAMPLE)
        expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
        expect(page.get_by_label("Your message")).to_have_value(EXAMPLE)
    page.keyboard.press("Enter")
    expect(page.locator(".answer").last).to_have_text(ANSWER)


def test_it_can_be_used_by_keyboard(scripted: Scripted, visit: Visit, site: str) -> None:
    """Each control in its order, with the focus shown; the request is copied for a shell."""
    scripted(CONVERTS, says(ANSWER))
    page = visit()
    expect(page.get_by_role("button", name="Copy as curl")).to_be_disabled()
    message = page.get_by_label("Your message")
    expect(message).to_be_focused()
    page.keyboard.type("What's 42 USD in CAD?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("$(id)")
    page.keyboard.press("Enter")
    question = "What's 42 USD in CAD?\n$(id)"
    expect(page.locator("h2")).to_have_text(question)
    expect(page.locator(".answer")).to_have_text(ANSWER)
    expect(message).to_be_focused()
    for name in ("Full result", "scripted · 3 tools", "New conversation", "Copy as curl"):
        page.keyboard.press("Shift+Tab")
        focused = page.locator(":focus-visible")
        expect(focused).to_have_text(name)
        expect(focused).to_have_css("outline-style", "solid")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    message.focus()
    page.keyboard.press("Control+V")
    curl, *options = shlex.split(message.input_value())
    assert (curl, options[:2]) == ("curl", ["-N", f"{site}/chat"])
    body = {"messages": [{"role": "user", "content": question}], "approvals": {}}
    assert json.loads(options[-1]) == body


def test_model_and_tools_are_shown_as_they_are_now(
    app: Served, visit: Visit, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """A model that is away is told of, and found again without a click."""
    away = llama_client(f"http://127.0.0.1:{unused_tcp_port}", Settings())
    app.use(monkeypatch, away, llama_model="", tools="todo")
    page = visit()
    page.clock.install()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("can't be reached")
    page.get_by_text("No model · 5 tools").click()
    delete = page.get_by_role("listitem").filter(has_text="delete_task")
    expect(delete).to_contain_text("Delete a task from the to-do list. Asks you first.")
    monkeypatch.setattr(app.assistant, "client", ScriptedServer().client())
    page.clock.run_for(6000)
    expect(page.get_by_text("scripted · 5 tools")).to_be_visible()
    expect(problem).to_be_empty()
    app.assistant.close()


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_nothing_is_wider_than_the_screen(visit: Visit, size: dict[str, int], scheme: Any) -> None:
    """Neither long words nor long arguments; and the footer hides no question."""
    long = "x" * 500
    call = {"id": "a", "name": "y" * 64, "arguments": json.dumps({"text": long})}
    result = {"type": "tool_result", "id": "a", "name": "y", "ok": False, "content": long}
    approval = {"type": "approval", "id": "b", "name": "z" * 64, "arguments": long, "messages": []}
    text = {"type": "text", "text": long}
    page = visit(viewport=size, color_scheme=scheme)
    body = events({"type": "tool_call", **call}, result, text, approval)
    page.route("**/chat", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    ask(page, long)
    question = page.get_by_role("group", name="May")
    expect(question).to_be_focused()
    footer = "document.querySelector('footer').getBoundingClientRect().top"
    assert question.evaluate(f"it => it.getBoundingClientRect().bottom < {footer}")
    page.get_by_text("Full result").click()
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    wide = "[...document.querySelectorAll('body *')].filter(it => it.scrollWidth > innerWidth)"
    assert page.evaluate(f"{wide}.length") == 0
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert dark == (scheme == "dark")


def test_the_default_model_answers_on_the_page(
    visit: Visit, default_servers: tuple[Host, Host]
) -> None:
    """A question with its call and its numbers, and one that is stopped."""
    page = visit(default_servers[0].url)
    page.set_default_timeout(240_000)
    last = page.locator(".turn").last
    page.get_by_role("button", name=EXAMPLE).click()
    expect(last.locator(".answer")).to_contain_text("131.95", timeout=240_000)
    expect(last.locator(".step")).to_contain_text("convert_currency")
    expect(last.get_by_text("numbers checked")).to_be_visible()
    ask(page, "Convert 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10 dollars to euros")
    page.get_by_role("button", name="Stop").click()
    expect(last.get_by_text("Stopped.")).to_be_visible()


def test_the_page_asks_for_a_key(app: Served, scripted: Scripted, visit: Visit) -> None:
    """Which is kept for the tab alone, and is in no command that is copied."""
    scripted(CONVERTS, says(ANSWER))
    with served_by_uvicorn(Access(app.http.app, Settings(), ["first-key-1234"])) as port:
        page = visit(f"http://127.0.0.1:{port}")
        key = page.get_by_label("API key", exact=True)
        for wrong, told in (("", "There is no API key"), ("wrong-key-1234", "API key is wrong")):
            if wrong:
                key.fill(wrong)
                page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text(told)
        key.fill("first-key-1234")
        page.get_by_role("button", name="Use").click()
        expect(page.get_by_text("scripted · 3 tools")).to_be_visible()
        expect(key).to_be_hidden()
        ask(page, "42 USD in CAD?")
        expect(page.get_by_text(ANSWER).first).to_be_visible()
        page.reload()
        expect(page.get_by_text("scripted · 3 tools")).to_be_visible()
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
