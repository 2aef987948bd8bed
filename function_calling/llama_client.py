"""How the assistant reaches the model: an OpenAI client for wherever `Llama` is served.

BentoML gives a service's address as `http://host:port`, or on one machine as `file:///….sock`, a
Unix socket. `LLAMA_URL` may also name any other OpenAI-compatible server.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2
from openai import APIError, AsyncOpenAI

from function_calling.errors import EngineError
from function_calling.settings import Settings

CONNECT_SECONDS = 5

# Where connections are balanced, as by a Service of Kubernetes, a kept one would bring all requests
# to one server. To open one takes no time beside a reply; with TLS it takes several round trips.
_NOT_KEPT = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
_KEPT = httpx2.Limits(max_connections=100, max_keepalive_connections=20)


def llama_client(
    url: str, settings: Settings, headers: Mapping[str, str] | None = None
) -> AsyncOpenAI:
    """A client for the server at `url`: its base URL, where no path means `/v1`; or a socket.

    `headers` go with every request.
    """
    address = urlsplit(url)
    if address.scheme == "file":
        transport = httpx2.AsyncHTTPTransport(uds=url2pathname(address.path))
        url = "http://llama/v1"
    else:
        transport = httpx2.AsyncHTTPTransport(
            limits=_NOT_KEPT if address.scheme == "http" else _KEPT
        )
        url = url if address.path.strip("/") else f"{url.rstrip('/')}/v1"
    timeout = httpx2.Timeout(settings.query_timeout, connect=CONNECT_SECONDS)
    return AsyncOpenAI(
        base_url=url,
        api_key=settings.llama_api_key or "none",
        # The agent repeats what can be repeated, and knows how long it has.
        max_retries=0,
        default_headers=headers,
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
