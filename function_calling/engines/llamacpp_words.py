"""llama.cpp's words for ours: how to generate, what comes, what goes wrong.

Its server's `/completion` is described in
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.
"""

import json
from typing import Any

import httpx2

from function_calling.engines.token_logprobs import TokenLogprobs
from function_calling.errors import EngineError, RequestError
from function_calling.model.words import Piece, Sampling

# llama.cpp takes 32 bits of each number: a larger one would be another, and this seed is random.
_MOST_TOKENS = 2**31 - 1
_RANDOM_SEED = 2**32 - 1


def completion_request(prompt: str, sampling: Sampling) -> dict[str, Any]:
    """How to go on from the prompt; samplers that nobody asked for are switched off."""
    return {
        "prompt": prompt,
        "stream": True,
        "cache_prompt": True,
        "n_predict": -1 if sampling.max_tokens is None else min(sampling.max_tokens, _MOST_TOKENS),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": -1 if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "stop": list(sampling.stop),
        "preserved_tokens": list(sampling.special_tokens),
        "logit_bias": [list(each) for each in sampling.logit_bias],
    }


def read_piece(data: str, logprobs: TokenLogprobs) -> Piece:
    """The piece that an event holds.

    Raises:
        RequestError: It is an error, and the caller's fault.
        EngineError: It is another error.
    """
    chunk = json.loads(data)
    if "error" in chunk:
        raise read_error(data.encode())
    return Piece(
        text=chunk["content"],
        prompt_tokens=chunk["tokens_evaluated"],
        completion_tokens=chunk["tokens_predicted"],
        finish_reason=_finish_reason(chunk) if chunk["stop"] else None,
        logprobs=logprobs.of(chunk),
    )


def _finish_reason(chunk: dict[str, Any]) -> Any:
    return "length" if chunk["stop_type"] == "limit" else "stop"


def read_error(data: bytes) -> RequestError | EngineError:
    """llama.cpp's error as ours."""
    try:
        error = json.loads(data)["error"]
        code, kind, message = error["code"], error.get("type"), error["message"]
    except (ValueError, KeyError, TypeError):
        return EngineError(f"The engine answered {data[:200]!r}")
    if kind == "exceed_context_size_error":
        return RequestError(
            f"The prompt has {error['n_prompt_tokens']} tokens; this model's context holds "
            f"{error['n_ctx']} tokens of prompt and reply together.",
            param="messages",
            code="context_length_exceeded",
        )
    if code == httpx2.codes.BAD_REQUEST:
        return RequestError(message)
    return EngineError(f"The engine failed: {message}")
