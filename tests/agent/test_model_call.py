"""How a model's server is reached."""

import asyncio
from contextlib import aclosing

import pytest

from function_calling.agent.model_call import complete, llama_client
from function_calling.errors import EngineError
from function_calling.settings import Settings

REQUEST = {"model": "scripted", "messages": [], "max_tokens": 16}


@pytest.mark.parametrize("scheme", ["http://", ""])
@pytest.mark.parametrize(
    ("url", "excepted", "asked"),
    [
        ("https://model.test/v1", "", [b"CONNECT model.test:443 HTTP/1.1\r\n"] * 2),
        ("https://localhost:1/v1", "localhost", []),
        ("http://localhost:1/v1", "", []),
    ],
    ids=["outside", "excepted", "without TLS"],
)
async def test_a_server_outside_is_reached_by_the_proxy(
    monkeypatch: pytest.MonkeyPatch, scheme: str, url: str, excepted: str, asked: list[bytes]
) -> None:
    """As by curl: whoever sits behind one has set it for all programs."""
    heard: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 No way out\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        host, port = proxy.sockets[0].getsockname()
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{host}:{port}")
        monkeypatch.setenv("NO_PROXY", excepted)
        async with llama_client(url, Settings(), may_sleep=True) as client:
            with pytest.raises(EngineError, match="can't be reached"):
                async with aclosing(complete(client, REQUEST)) as parts:
                    [each async for each in parts]
    assert heard == asked
