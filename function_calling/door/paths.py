"""The paths by which BentoML counts requests: those of routes, instead of whatever was asked.

BentoML keeps a set of counters for each path that was ever asked, in memory and in a file.
"""

from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

UNKNOWN = "/{path}"
"""The path of requests that no route is for."""
_ASKED = "function_calling.asked_path"


def by_route(counting: Any) -> Any:
    """BentoML's middleware that counts requests, as one that sees their routes' paths."""

    class ByRoute(counting):  # type: ignore[misc]
        def __init__(self, app: ASGIApp, **options: Any) -> None:
            async def asked(scope: Scope, receive: Receive, send: Send) -> None:
                path = scope.get(_ASKED, scope.get("path"))
                await app({**scope, "path": path} if _ASKED in scope else scope, receive, send)

            super().__init__(asked, **options)

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] in ("http", "websocket"):
                path = route_path(scope["app"].routes, scope)
                scope = {**scope, "path": path, _ASKED: scope["path"]}
            await super().__call__(scope, receive, send)

    return ByRoute


def route_path(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """The path of the route that a request is for, with its parameters' names."""
    for route in routes:
        match, found = route.matches(scope)
        if match is not Match.NONE:
            path: str = getattr(route, "path", UNKNOWN)
            if isinstance(route, Mount) and route.routes:
                return path + route_path(route.routes, {**scope, **found})
            return path
    return UNKNOWN
