"""What the model is told of the conversation so far: the questions and the answers, as shown.

Calls and their results are left out, as in the conversations that `POST /chat` gets: they would
fill a small context, and a tool can be asked again.
"""

import re
from typing import Any

from function_calling.errors import RequestError

# OpenAI's code; other servers say it in words alone.
_CODE = "context_length_exceeded"
_WORDS = re.compile(r"context (length|size|window)|too (long|many tokens)", re.IGNORECASE)


class Memory:
    """The turns of one conversation."""

    def __init__(self) -> None:
        self._turns: list[tuple[str, str]] = []

    def messages(self, question: str) -> list[dict[str, Any]]:
        """The conversation as OpenAI's `messages`, with `question` as its end."""
        told = [
            {"role": role, "content": text}
            for turn in self._turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return [*told, {"role": "user", "content": question}]

    def keep(self, question: str, answer: str) -> None:
        """Remember a turn."""
        self._turns.append((question, answer))

    def clear(self) -> None:
        """Forget all."""
        self._turns.clear()

    def shortened(self, error: RequestError) -> bool:
        """Whether the conversation was too long, and is shorter now: its oldest turn is gone."""
        too_long = error.code == _CODE or _WORDS.search(error.message)
        if not too_long or not self._turns:
            return False
        del self._turns[0]
        return True
