"""The page at `/ui`, and what it shows of the model and the tools.

It is one file that asks `POST /chat` as any other client does. Its Content-Security-Policy allows
the style and the script in it by their hashes, and nothing from anywhere else
(https://www.w3.org/TR/CSP3/#grammardef-hash-source).
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from function_calling.errors import ApiError

if TYPE_CHECKING:  # it brings OpenAI's client, which takes half a second to import
    from function_calling.agent.assistant import Assistant


def _page() -> Response:
    html = Path(__file__).with_name("index.html").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    for kind, inline in re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL):
        digest = b64encode(sha256(inline.encode()).digest()).decode()
        policy += f"; {kind}-src 'sha256-{digest}'"
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}
    headers |= {"referrer-policy": "no-referrer", "cache-control": "no-cache"}
    return Response(html, media_type="text/html", headers=headers)


async def _about(request: Request) -> Response:
    """What is there now: the model, or why it can't be reached, and the tools."""
    assistant: Assistant = request.app.state.assistant
    listed, problem = "", None
    try:
        listed = await assistant.first_model()
    except ApiError as error:
        problem = error.message
    offered, toolbox = await assistant.offered()
    told = {
        "model": assistant.model or listed or None,
        "problem": problem,
        "topic": offered.topic,
        "examples": list(offered.examples),
        "tools": [
            {"name": name, "description": does, "needs_approval": toolbox.wants_approval(name)}
            for name, does in toolbox.descriptions.items()
        ],
    }
    return JSONResponse(told, headers={"cache-control": "no-store"})


_pages = [Route(path, _page(), methods=["GET"]) for path in ("/ui", "/ui/")]
_pages.append(Route("/", RedirectResponse("ui"), methods=["GET"]))
ui_app = Starlette(routes=[*_pages, Route("/ui/about", _about)])
"""Whoever serves it sets `state.assistant`."""
