"""Token probabilities in OpenAI's two shapes: of chat completions, and of text completions.

A token may be a part of a character: bytes that are no text by themselves stand as surrogate
escapes in `TokenLogprob.token`, as `bytes.decode(errors="surrogateescape")` writes them.
"""

from collections.abc import Sequence

from openai.types.chat import ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.completion_choice import Logprobs

from function_calling.model.words import TokenLogprob


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> list[ChatCompletionTokenLogprob]:
    """What stands in `logprobs.content`."""
    return [
        ChatCompletionTokenLogprob(
            token=_text(token),
            bytes=list(_bytes(token)),
            logprob=token.logprob,
            top_logprobs=[
                TopLogprob(token=_text(top), bytes=list(_bytes(top)), logprob=top.logprob)
                for top in token.top
            ],
        )
        for token in tokens
    ]


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> Logprobs:
    """What stands in a text completion's `logprobs`; `offset` characters were told before.

    The sampled token is always among its `top_logprobs`.
    """
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(_text(token))
    return Logprobs(
        tokens=[_text(token) for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        top_logprobs=[
            {_text(each): each.logprob for each in (*token.top, token)} for token in tokens
        ],
        text_offset=offsets,
    )


def _bytes(token: TokenLogprob) -> bytes:
    return token.token.encode(errors="surrogateescape")


def _text(token: TokenLogprob) -> str:
    return _bytes(token).decode(errors="replace")
