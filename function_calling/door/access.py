"""Who may ask: callers with a key, or without keys this machine alone; and no foreign page.

A page in somebody's browser can send requests to this machine, also under a name of its own that
leads here (DNS rebinding). So `Origin` must be the host that is asked, and where no key is wanted,
`Host` must be an address or a name of ours.
"""

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.asking import is_address, is_loopback
from function_calling.door.guard import Guard, Refuse, in_openais_shape
from function_calling.errors import RequestError, shown
from function_calling.settings import Settings

KEY = "function_calling.key"
"""Where a scope has the digest of the key that was right."""
_PROBES = ("/livez", "/readyz", "/healthz")
_PAGES = ("/", "/ui", "/ui/")
"""What a browser shows before a person can give a key; the same for everyone."""
_FORMS = ("text/", "multipart/", "application/x-www-form-urlencoded")
"""The types that a page may send anywhere without asking (https://fetch.spec.whatwg.org/#cors)."""


def cors(settings: Settings) -> dict[str, Any]:
    """Options of the middleware that lets pages of other origins ask, and read what is refused."""
    every = ("*",)
    allowed = {"allow_methods": ("GET", "POST"), "allow_headers": every, "expose_headers": every}
    return {"allow_origins": _names(settings.cors_origins), **allowed}


class Access(Guard):
    """Refuses those who may not ask, before anything runs; probes pass.

    Args:
        settings: `API_KEYS=none`, `ALLOWED_HOSTS`, `CORS_ORIGINS` and `METRICS_ACCESS` are read.
        keys: The keys, if a caller needs one.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        keys: Sequence[str],
        refuse: Refuse = in_openais_shape,
    ) -> None:
        super().__init__(app, refuse)
        self._digests = [_digest(key) for key in keys]
        self._guarded = settings.api_keys == "none"
        self._free = {*_PROBES, *(["/metrics"] if settings.metrics_access == "open" else [])}
        self._hosts = {"localhost", *_names(settings.allowed_hosts)}
        self._origins = _names(settings.cors_origins)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard.answer`."""
        if scope["path"] not in self._free:
            request = Request(scope)
            # Over a Unix socket, by which BentoML's services ask each other, there is no port.
            by_socket = (scope.get("server") or ("", 0))[1] is None
            if not self._digests and not by_socket:
                self._check_reach(request)
            self._check_origin(request)
            if self._digests and scope["path"] not in _PAGES:
                self._check_key(request)
            _check_type(request)
        await self._app(scope, receive, send)

    def _check_origin(self, request: Request) -> None:
        """Whether the page that asks, if one does, may."""
        headers = request.headers
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        if origin is None:
            # Browsers leave it out of a GET, unless a script wants to read what comes.
            own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
            if own or headers.get("sec-fetch-mode") == "navigate":
                return
        elif origin.lower() in (*self._origins, f"http://{host}", f"https://{host}"):
            return
        raise RequestError(
            f"A page of {shown(origin) if origin else 'another site'} asks; wanted one of this "
            "server's own, or of an origin in CORS_ORIGINS.",
            status=403,
        )

    def _check_reach(self, request: Request) -> None:
        """Whether one may ask without a key from there, and by that name."""
        if not self._guarded and not _is_local(request):
            raise RequestError(
                "This server has no keys, so it answers its own machine alone. Start it with "
                "API_KEYS=… and send one of them as `Authorization: Bearer …`.",
                status=403,
            )
        host = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        # A name can be made to lead here from a foreign page, an address can't.
        if not (name in self._hosts or is_address(name)):
            raise RequestError(
                f"Host is {shown(host)}; wanted localhost, an address or a name in ALLOWED_HOSTS.",
                status=421,
            )

    def _check_key(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = [token.strip()] if scheme.lower() == "bearer" else []
        given += request.headers.getlist("x-api-key")
        # All are compared, each in constant time, so that time tells nothing of the keys.
        digests = [_digest(each) for each in given]
        right = [key for key in self._digests for each in digests if hmac.compare_digest(each, key)]
        if right:
            request.scope[KEY] = right[0].hex()
        else:
            told = "The API key is wrong" if given else "There is no API key"
            raise RequestError(
                f"{told}; wanted one as `Authorization: Bearer …` or `x-api-key: …`.",
                code="invalid_api_key",
                status=401,
            )


def _check_type(request: Request) -> None:
    """Whether the body is no form, and JSON where a page sends it."""
    said = request.headers.get("content-type", "")
    kind = said.partition(";")[0].strip().lower()
    from_page = "origin" in request.headers and kind != "application/json"
    if request.method == "POST" and (kind.startswith(_FORMS) or from_page):
        told = f"The header Content-Type is {shown(said)}; wanted application/json."
        raise RequestError(told, status=415)


def _is_local(request: Request) -> bool:
    """Whether this machine asks, also by the word of a proxy that uvicorn does not believe."""
    # Where everybody's word is believed, an address tells nothing.
    if request.client is None or os.environ.get("FORWARDED_ALLOW_IPS") == "*":
        return False
    said = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    hosts = [request.client.host, *filter(None, map(str.strip, said))]
    return "forwarded" not in request.headers and all(map(is_loopback, hosts))


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _names(setting: str) -> list[str]:
    return setting.lower().replace(",", " ").split()
