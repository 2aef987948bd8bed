"""The bodies of `POST /exchange` and `POST /chat`, checked before BentoML reads them.

BentoML passes over fields that it does not know, answers a body without a question with the
question's default, and has errors of a shape of its own.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.door.bounds import again
from function_calling.door.guard import Guard
from function_calling.errors import RequestError, shown

Headers: TypeAlias = list[tuple[bytes, bytes]]

_WANTED: Mapping[type, str] = {str: "text", list: "a list of messages", dict: "an object"}


class BodyCheck(Guard):
    """Refuses a wrong body with an error in OpenAI's shape.

    Args:
        fields: For each path, the fields of its body and their types; all but the first may be
            left out, or null.
    """

    def __init__(self, app: ASGIApp, fields: Mapping[str, Mapping[str, type]]) -> None:
        super().__init__(app)
        self._fields = fields

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request's body, where the path has one, and pass it on as plain JSON."""
        fields = self._fields.get(scope["path"])
        if fields and scope["method"] == "POST":
            body = _checked(await Request(scope, receive).body(), fields)
            scope = {**scope, "headers": _of_json(scope["headers"], body)}
            receive = again(body, receive)
        await self._app(scope, receive, send)


def _of_json(headers: Headers, body: bytes) -> Headers:
    """The headers, about a body of JSON."""
    about = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    return [*(each for each in headers if each[0] not in about), *about.items()]


def _checked(body: bytes, fields: Mapping[str, type]) -> bytes:
    """A body that is an object with these fields; half a surrogate pair in it is replaced."""
    name, *others = fields
    try:
        plain = json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
        members: Any = json.loads(plain)  # an error that names one must be text, too
    except (ValueError, RecursionError):
        raise RequestError(f'The body is no JSON; wanted an object: {{"{name}": …}}.') from None
    if not isinstance(members, dict):
        raise RequestError(f'The body is {shown(members)}; wanted an object: {{"{name}": …}}.')
    if name not in members:
        there = f" The body has {', '.join(map(shown, members))}." if members else ""
        raise RequestError(f"{name} is missing.{there}", param=name)
    if strangers := sorted(members.keys() - fields.keys()):
        raise RequestError(
            f"{shown(strangers[0])} is no field of the body; wanted {' or '.join(fields)}.",
            param=strangers[0],
        )
    for name, value in members.items():
        if not isinstance(value, fields[name]) and not (value is None and name in others):
            problem = f"{name} is {shown(value)}; wanted {_WANTED[fields[name]]}."
            raise RequestError(problem, param=name)
    return plain
