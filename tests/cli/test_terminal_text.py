"""What the chat shows and where it finds its model, without a terminal."""

import io

import pytest
from hosts import served_by_uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from function_calling.agent.model_call import llama_client
from function_calling.cli.chat import chat_settings
from function_calling.cli.terminal import Screen, call_text, one_line, safe
from function_calling.settings import Settings


@given(st.text())
def test_no_text_commands_a_terminal(text: str) -> None:
    """What is shown is printable, but for line ends and tabs; half characters too can be shown."""
    shown = safe(text)
    assert not {*map(ord, shown)} & ({*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A})
    shown.encode()
    assert "\n" not in one_line(text)


def test_text_is_otherwise_left_alone() -> None:
    """In every script, with its signs."""
    text = "世界! \t👩‍👩‍👧 مرحبا\n[bold]x[/bold]"
    assert safe(f"{text} \ud83d\r\nb\rc") == f"{text} ?\nbc"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"amount": 42, "to": "Zürich"}', 'f(amount=42, to="Zürich")'),
        ("", "f()"),
        ('{"amount": 4', 'f({"amount": 4)'),
        ("[1]", "f([1])"),
        ('{"text": "' + "x" * 500 + '"}', 'f(text="' + "x" * 191 + "…"),
    ],
)
def test_a_call_is_shown_on_one_line(arguments: str, shown: str) -> None:
    """As code, or as the model wrote it where that is no object."""
    assert call_text("f", arguments) == shown


def test_steps_and_the_answer_have_their_own_places() -> None:
    """A call behind some text begins a line; colours and signs of life need a terminal."""
    answers, steps = io.StringIO(), io.StringIO()
    screen = Screen(answers, steps)
    screen.wait()
    screen.text("Let me ")
    screen.text("see")
    screen.step("f()")
    screen.step("→ It is\n1.")
    screen.wait()
    screen.text("It is 1.")
    screen.pause()
    screen.complain("two\nlines")
    assert answers.getvalue() == "Let me see\nIt is 1.\n"
    assert steps.getvalue() == "f()\n→ It is 1.\ntwo lines\n"


def test_openais_variables_name_the_server_together() -> None:
    """With the address come key and model; without it, neither is sent anywhere."""
    ours = {"LLAMA_URL": "http://here", "LLAMA_API_KEY": "a", "LLAMA_MODEL": "b"}
    assert chat_settings(ours | {"OPENAI_API_KEY": "c"}) == Settings.from_env(ours)
    settings = chat_settings(ours | {"OPENAI_BASE_URL": "https://there"})
    assert (settings.llama_api_key, settings.llama_model) == ("", "")


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("http://127.0.0.1:3001/", "http://127.0.0.1:3001/v1/"),
        ("https://host/openai/v1/", "https://host/openai/v1/"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai/"),
        ("file:///run/llama.sock", "http://llama/v1/"),
    ],
)
async def test_an_address_without_a_path_means_v1(url: str, base_url: str) -> None:
    """Any other is taken as OpenAI's clients take it."""
    async with llama_client(url, Settings()) as client:
        assert str(client.base_url) == base_url


async def test_each_request_has_a_connection_of_its_own() -> None:
    """So what balances connections shares the load, too, as a Service of Kubernetes does."""
    callers = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        callers.extend([scope["client"]] * (scope["path"] == "/v1/models"))
        await JSONResponse({"object": "list", "data": []})(scope, receive, send)

    with served_by_uvicorn(app) as port:
        async with llama_client(f"http://127.0.0.1:{port}", Settings()) as client:
            for _ in range(2):
                await client.models.list()
    assert len(set(callers)) == 2
