"""Whence a request comes: its host and client, and how much of what all share a client may hold.

A client is a path: the peer that asks and, where the peer says so, for whom it asks. Anybody can
say that, so it only parts what is the peer's own.
"""

import secrets
from collections.abc import Collection
from contextvars import ContextVar
from hashlib import blake2b
from ipaddress import ip_address
from typing import TypeAlias

Client: TypeAlias = tuple[str, ...]

CLIENT: ContextVar[Client] = ContextVar("client", default=())
"""The client whose request is worked on; nobody, where it is no request."""
ON_BEHALF_OF = "x-on-behalf-of"
"""The header in which a peer says for whom it asks."""

_SALT = secrets.token_bytes(16)


def digest(name: str) -> str:
    """A name that tells nothing of `name`, and is another in each process."""
    return blake2b(name.encode(errors="replace"), key=_SALT, digest_size=8).hexdigest()


def levels(client: Client) -> list[Client]:
    """The client's peer, and the client itself."""
    return [client[:depth] for depth in range(1, len(client) + 1)]


def fits(client: Client, held: Collection[Client], places: int) -> bool:
    """Whether the client may hold one more of the places, of which these clients hold some.

    It may hold as many as it leaves free, and of those of its peer too, so that whoever comes next
    finds one.
    """
    free = places - len(held)
    for level in levels(client):
        own = sum(each[: len(level)] == level for each in held)
        if own >= free:
            return False
        free -= own
    return free > 0


def is_address(host: str) -> bool:
    """Whether `host` is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, an address or `localhost`."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)
