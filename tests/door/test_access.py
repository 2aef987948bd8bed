"""Who may ask the two services, in this process; tests/test_bento.py asks with keys, too."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route

import service
from function_calling.cli.serve import serving
from function_calling.door.access import Access, cors
from function_calling.errors import SettingsError
from function_calling.settings import Settings

KEYS = ("first-key-1234", "second-key-5678")
OPEN = {"/livez", "/readyz", "/healthz", "/", "/ui", "/ui/"}
"""What answers without a key."""
REMOTE = ("192.0.2.7", 4711)


def apps(**settings: str) -> dict[str, Any]:
    """Both services as BentoML serves them under these settings, without what they load."""
    known = Settings(**settings)
    door = {Access: {"settings": known, "keys": known.keys()}, CORSMiddleware: cors(known)}
    made = {}
    for each in (service.Llama, service.ExchangeAssistant):
        changed = [(kind, {**options, **door.get(kind, {})}) for kind, options in each.middlewares]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(each, "middlewares", changed)
            made[each.name] = each.to_asgi()
    return made


@pytest.fixture(scope="module")
def keyed() -> dict[str, Any]:
    """The services with two keys."""
    return apps(api_keys=", ".join(KEYS))


@pytest.fixture(scope="module")
def keyless() -> Any:
    """The assistant without keys."""
    return apps()["ExchangeAssistant"]


async def send(
    app: Any, path: str, method: str = "GET", peer: Any = ("127.0.0.1", 5000), **headers: str
) -> httpx2.Response:
    """The response to a request without a body; `_` stands for `-` in the headers' names."""
    transport = httpx2.ASGITransport(app, client=peer)
    named = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:3000") as http:
        return await http.request(method, path, headers=named)


def routes(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each path of an app with each of its methods."""
    for each in app.routes:
        if isinstance(each, Mount):
            yield from routes(each, prefix + each.path)
            yield "GET", f"{prefix}{each.path}/anything"
        elif isinstance(each, Route):
            for method in each.methods or {"GET", "POST"}:
                yield method, prefix + re.sub(r"{.*}", "any", each.path)


@pytest.mark.parametrize("name", ["Llama", "ExchangeAssistant"])
async def test_only_probes_and_the_page_answer_without_a_key(
    name: str, keyed: dict[str, Any]
) -> None:
    """Of all that is routed, and of what is not; the page holds nothing but itself."""
    known = set(routes(keyed[name]))
    assert len(known) > 10
    for method, path in {*known, ("GET", "/metrics"), ("GET", "/nothing"), ("GET", "/livez/")}:
        if path == "/readyz":
            continue  # it is for the model to say
        response = await send(keyed[name], path, method)
        refused = (response.status_code, response.headers.get("www-authenticate"))
        assert (refused == (401, "Bearer")) == (path not in OPEN), path


async def test_a_refusal_has_the_shape_of_the_api(keyed: dict[str, Any]) -> None:
    """OpenAI's, and Anthropic's where its messages are asked for."""
    told = "There is no API key; wanted one as `Authorization: Bearer …` or `x-api-key: …`."
    error = (await send(keyed["Llama"], "/v1/models")).json()["error"]
    assert (error["message"], error["code"]) == (told, "invalid_api_key")
    response = await send(keyed["Llama"], "/v1/messages", "POST")
    assert response.json()["error"] == {"type": "authentication_error", "message": told}


async def test_wrong_keys_let_nobody_in(keyed: dict[str, Any]) -> None:
    """Near ones among them; each right one does, in either header."""
    app = keyed["ExchangeAssistant"]
    wrong = [f"{KEYS[0]}{end}" for end in ("0", ",", f",{KEYS[1]}", " x", "\xe9")]
    wrong += [KEYS[0][:-1], KEYS[0].upper(), ", ".join(KEYS), "", " ", "none", "*"]
    for key in wrong:
        for header in ({"authorization": f"Bearer {key}"}, {"x_api_key": key}):
            assert (await send(app, "/docs.json", **header)).status_code == 401, key
    for key in KEYS:
        for header in ({"authorization": f"bearer {key}"}, {"x_api_key": key}):
            assert (await send(app, "/docs.json", **header)).status_code == 200
    other = {"authorization": "Basic YTpi", "x_api_key": KEYS[0]}
    assert (await send(app, "/docs.json", **other)).status_code == 200
    assert (await send(app, "/docs.json", authorization=f"Basic {KEYS[0]}")).status_code == 401


async def test_without_keys_this_machine_alone_may_ask(keyless: Any) -> None:
    """The others are told what to set; a probe from anywhere is answered."""
    for peer in (("127.8.9.10", 5000), ("::1", 5000)):
        assert (await send(keyless, "/docs.json", peer=peer)).status_code == 200
    # None has hung up before it was looked at.
    for peer in (REMOTE, ("::ffff:192.0.2.7", 5000), None):
        response = await send(keyless, "/docs.json", peer=peer)
        assert response.status_code == 403
        assert "API_KEYS" in response.json()["error"]["message"]
        assert (await send(keyless, "/livez", peer=peer)).status_code == 200


async def test_a_proxy_on_this_machine_does_not_make_others_its_own(
    keyless: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever it says that it asks for counts; where uvicorn believes all, nobody is local."""
    for headers in ({"x_forwarded_for": "127.0.0.1, 192.0.2.7"}, {"forwarded": "for=192.0.2.7"}):
        assert (await send(keyless, "/docs.json", **headers)).status_code == 403
    assert (await send(keyless, "/docs.json", x_forwarded_for="::1")).status_code == 200
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    assert (await send(keyless, "/docs.json")).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("LOCALHOST:80", 200),
        ("[::1]:3000", 200),  # an address leads nowhere else
        ("localhost.evil.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_without_keys_a_name_must_be_ours(host: str, status: int, keyless: Any) -> None:
    """A page's own name may have been made to lead here."""
    response = await send(keyless, "/docs.json", host=host)
    assert response.status_code == status
    if status == 421:
        assert response.json()["error"]["message"].startswith(f'Host is "{host}"; wanted localhost')


async def test_what_is_opened_is_open() -> None:
    """`API_KEYS=none` to all machines, but by our names alone; so are metrics, if they are."""
    more = {"allowed_hosts": "tools.example, b.example", "metrics_access": "open"}
    app = apps(api_keys="none", **more)["ExchangeAssistant"]
    assert (await send(app, "/docs.json", peer=REMOTE)).status_code == 200
    assert (await send(app, "/docs.json", peer=REMOTE, host="B.example:8")).status_code == 200
    assert (await send(app, "/docs.json", peer=REMOTE, host="c.example")).status_code == 421
    for each in apps(api_keys=KEYS[0], **more).values():
        # In this process, BentoML has no such route.
        assert (await send(each, "/metrics", peer=REMOTE)).status_code == 404
        assert (await send(each, "/v1/metrics", peer=REMOTE)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://localhost:3000"}, 200),  # behind a proxy with TLS
        ({"origin": "http://localhost:5173"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, 200),  # a link
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, 403),
    ],
)
async def test_a_foreign_page_is_refused(
    headers: dict[str, str], status: int, keyless: Any, keyed: dict[str, Any]
) -> None:
    """Whether a key is wanted or not, and also where it has one."""
    assert (await send(keyless, "/docs.json", **headers)).status_code == status
    keyed_app, key = keyed["ExchangeAssistant"], {"x_api_key": KEYS[0]}
    assert (await send(keyed_app, "/docs.json", **headers, **key)).status_code == status


async def test_pages_of_an_origin_that_is_named_may_ask() -> None:
    """A browser asks first, without a key; what is refused can be read there, too."""
    page = {"origin": "https://app.example"}
    asks_first = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization,content-type",
    }
    both = apps(api_keys=KEYS[0], cors_origins="https://app.example,https://b.example")
    for app, path in ((both["Llama"], "/v1/responses"), (both["ExchangeAssistant"], "/chat")):
        preflight = await send(app, path, "OPTIONS", **page, **asks_first)
        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        refused = await send(app, path, "POST", **page)
        assert refused.status_code == 401
        for each in (preflight, refused):
            assert each.headers["access-control-allow-origin"] == page["origin"]
        evil = await send(app, path, "OPTIONS", origin="https://evil.example", **asks_first)
        assert evil.status_code == 400
        assert "access-control-allow-origin" not in evil.headers


@pytest.mark.parametrize(
    ("kind", "origin", "status"),
    [
        ("Application/JSON; charset=utf-8", True, 400),
        ("", False, 400),
        ("", True, 415),
        ("application/octet-stream", True, 415),
        ("multipart/form-data; boundary=x", False, 415),
        ("text/plain", False, 415),
    ],
)
async def test_a_body_must_say_that_it_is_json(
    kind: str, origin: bool, status: int, keyless: Any
) -> None:
    """What a page may send anywhere unasked is refused by its type; 400 is the empty body's."""
    headers = {"content_type": kind} if kind else {}
    headers |= {"origin": "http://localhost:3000"} if origin else {}
    response = await send(keyless, "/chat", "POST", **headers)
    assert response.status_code == status
    if status == 415:
        told = f'The header Content-Type is "{kind}"; wanted application/json.'
        assert response.json()["error"]["message"] == told


async def test_bentomls_page_is_not_shown(keyless: Any) -> None:
    """It loads a tracker; ours stands there, and a line at the model's."""
    response = await send(keyless, "/")
    assert (response.status_code, response.headers["location"]) == (307, "ui")
    response = await send(apps()["Llama"], "/")
    assert response.headers["content-type"].startswith("text/plain")
    assert "/v1" in response.text


def test_keys_are_read_from_both_places(tmp_path: Path) -> None:
    """Comments and empty lines are none; a file without any would open what should be shut."""
    file = tmp_path / "keys"
    file.write_text("# ours\n\n  third-key-9012 \n", encoding="utf-8")
    settings = Settings(api_keys=f"{KEYS[0]} , {KEYS[1]}", api_keys_file=str(file))
    assert settings.keys() == (*KEYS, "third-key-9012")
    assert Settings().keys() == Settings(api_keys="none").keys() == ()
    for text, problem in (("# none\n", "has no key"), ("short", "8 or more"), ("clé-de-huit", "8")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=problem) as caught:
            Settings(api_keys_file=str(file)).keys()
        assert text not in str(caught.value)
    with pytest.raises(SettingsError, match="can't be read"):
        Settings(api_keys_file=str(tmp_path / "away")).keys()


def test_serve_does_not_listen_for_others_without_keys() -> None:
    """One line says what to set."""
    told = "Other machines reach 0.0.0.0, and no key is set: set API_KEYS"
    with pytest.raises(SettingsError, match=re.escape(told)), serving("0.0.0.0", 3000, {}):
        pass
