"""What an engine is: text in, pieces of text out."""

from collections.abc import AsyncGenerator, Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from function_calling.errors import RequestError
from function_calling.model.words import Piece, Sampling

Unenforced: TypeAlias = Callable[[Mapping[str, Any]], Set[str]]
"""Tells the keywords of one schema, without those in it, to which an engine can't hold a value."""


class Engine(Protocol):
    """Generates text. It knows nothing of messages and tools: it neither templates nor parses."""

    def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The continuation of `prompt`, piece by piece; the last piece has a finish reason.

        What is quoted in the prompt is text, whatever tokens it spells (`quoting`). Closing the
        iterator aborts the generation and frees what it holds.

        Raises:
            RequestError: The prompt is too long, or the constraint can't be enforced.
            EngineError: The engine failed.
        """
        ...

    async def count(self, prompt: str) -> int:
        """How many tokens `generate` would take the prompt for, also where they are too many.

        Raises:
            EngineError: The engine failed.
        """
        ...

    async def busy(self) -> int:
        """How many generations are running now."""
        return 0

    async def waiting(self) -> int:
        """How many generations are waiting for their turn now."""
        return 0

    def close(self) -> None:
        """Free the model. No generation may be running."""
        return


def nothing(schema: Mapping[str, Any]) -> Set[str]:
    """What an engine that enforces all keywords tells of a schema."""
    return frozenset()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An engine with its model in it, and what the model's file says of how it chats.

    Attributes:
        name: The model's name on `/v1/models`.
        engine: Generates with this model.
        chat_template: Jinja source of the model's chat template.
        bos_token: Text of the token that begins a prompt; "" if there is none.
        eos_token: Text of the token that ends a turn.
        context_length: Tokens of prompt and reply together, for each request.
        unenforced: What of a JSON Schema this engine can't enforce, though others can.
        controls: The texts of tokens that mean something to the model, such as the end of a turn.
    """

    name: str
    engine: Engine
    chat_template: str
    bos_token: str
    eos_token: str
    context_length: int
    unenforced: Unenforced = nothing
    controls: frozenset[str] = frozenset()


def prompt_too_long(tokens: int, context_length: int) -> RequestError:
    """What the caller is told of a prompt that leaves no room for a reply."""
    return RequestError(
        f"The prompt has {tokens} tokens; this model's context holds {context_length} tokens of "
        "prompt and reply together.",
        param="messages",
        code="context_length_exceeded",
    )
