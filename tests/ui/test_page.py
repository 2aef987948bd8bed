"""`/ui` without a browser: what it is, what it allows, and what it tells of model and tools."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from scripted_server import ScriptedServer
from served import Served

from function_calling.agent.model_call import llama_client
from function_calling.settings import Settings
from tools import EXAMPLE

HTML = Path(__file__).parents[2] / "function_calling/ui/index.html"


def test_the_page_is_one_file_that_allows_itself_alone(app: Served) -> None:
    """Its style and its script by their hashes; no frame, no form, no other host."""
    page = app.http.get("/ui/")
    assert app.http.get("/ui").text == page.text
    assert (page.status_code, page.text) == (200, HTML.read_text(encoding="utf-8"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    told = page.headers["content-security-policy"].split("; ")
    policy = dict(rule.split(" ", 1) for rule in told)
    assert len(policy) == len(told)
    for kind in ("style", "script"):
        (inline,) = re.findall(f"<{kind}>(.*?)</{kind}>", page.text, re.DOTALL)
        digest = b64encode(sha256(inline.encode()).digest()).decode()
        assert policy.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert policy == {
        **dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'"),
        "frame-ancestors": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "require-trusted-types-for": "'script'",
    }
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-cache"
    assert app.http.post("/ui").status_code == 405
    chat = app.http.get("/docs.json").json()["paths"]["/chat"]["post"]
    assert "](ui)" in chat["description"]


def test_model_and_tools_are_told(
    app: Served, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """With what they are for, and which of them a person is asked for first.

    Of a model that is away, the name that is known stays, and so do the tools.
    """
    chosen = {"tools": "currency,todo", "llama_model": ""}
    about = app.use(monkeypatch, ScriptedServer().client(), **chosen).get("/ui/about")
    assert about.headers["cache-control"] == "no-store"
    told = about.json()
    assert (told["model"], told["problem"]) == ("scripted", None)
    assert told["topic"] == "converting money or to-do tasks"
    assert told["examples"][0] == EXAMPLE
    tools = {each["name"]: each for each in told["tools"]}
    assert tools["convert_currency"]["description"].startswith("Convert an amount")
    assert [name for name in tools if tools[name]["needs_approval"]] == ["delete_task"]
    app.assistant.close()
    away = llama_client(f"http://127.0.0.1:{unused_tcp_port}", Settings())
    told = app.use(monkeypatch, away, llama_model="scripted").get("/ui/about").json()
    assert (told["model"], bool(told["tools"])) == ("scripted", True)
    assert "can't be reached" in told["problem"]
