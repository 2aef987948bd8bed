"""How the assistant reaches the model: an OpenAI client for wherever `Llama` is served.

BentoML gives a service's address as `http://host:port`, or on one machine as `file:///….sock`, a
Unix socket. `LLAMA_URL` may also name any other OpenAI-compatible server.
"""

import asyncio
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2
from openai import APIError, AsyncOpenAI

from function_calling.errors import EngineError
from function_calling.settings import Settings

CONNECT_SECONDS = 5


def llama_client(url: str, settings: Settings) -> AsyncOpenAI:
    """A client for the server at `url`: its base URL, with or without `/v1`, or a Unix socket."""
    address = urlsplit(url)
    if address.scheme == "file":
        transport = httpx2.AsyncHTTPTransport(uds=url2pathname(address.path))
        url = "http://llama"
    else:
        transport = httpx2.AsyncHTTPTransport()
    url = url.rstrip("/")
    timeout = httpx2.Timeout(settings.query_timeout, connect=CONNECT_SECONDS)
    return AsyncOpenAI(
        base_url=url if url.endswith("/v1") else f"{url}/v1",
        api_key=settings.llama_api_key or "none",
        # The agent repeats what can be repeated, and knows how long it has.
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport, timeout=timeout),
    )


async def first_model(client: AsyncOpenAI) -> str:
    """The name of the first model that the server lists.

    Raises:
        EngineError: The server can't be reached, or lists none.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            listed = await client.models.list()
        return listed.data[0].id
    except (APIError, TimeoutError) as error:
        why = str(error) or f"it took longer than {CONNECT_SECONDS} seconds."
        raise EngineError(
            f"The model at {client.base_url} can't be reached: {why}", status=503
        ) from error
    except (AttributeError, TypeError, LookupError, ValueError) as error:
        # The client library takes lists of any shape.
        raise EngineError(f"The server at {client.base_url} lists no model.", status=503) from error
