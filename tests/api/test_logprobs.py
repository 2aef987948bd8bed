"""Token probabilities: of content alone, whole and streamed, and as llama.cpp tells them."""

import math
from typing import Any

import pytest
from scripted_engine import Fills
from v1_client import TODAY, USER, Serve, choice_of, serving, streamed_choices

from function_calling.api.completions import chat_logprobs, text_logprobs
from function_calling.engines.token_logprobs import LEAST, TokenLogprobs
from function_calling.model.words import TokenLogprob

serve = pytest.fixture(serving)
HALF = -math.log(2)


def entry(token: str, *top: str) -> dict[str, Any]:
    """A token as OpenAI's API tells it, with the likeliest at its place."""
    told: dict[str, Any] = {"token": token, "bytes": list(token.encode()), "logprob": HALF}
    likeliest = [
        {"token": each, "bytes": list(each.encode()), "logprob": HALF * rank}
        for rank, each in enumerate(top, 1)
    ]
    return {**told, "top_logprobs": likeliest}


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({}, [entry("Grü"), entry("ße")]),
        ({"top_logprobs": 2}, [entry("Grü", "Grü", "Grü?"), entry("ße", "ße", "ße?")]),
    ],
    ids=str,
)
async def test_each_token_is_told_with_its_probability(
    serve: Serve, options: dict[str, Any], content: list[Any]
) -> None:
    """G19: in whole replies, and in a stream with the text that the tokens make."""
    body = {"messages": [USER], "logprobs": True, **options}
    serve("Grüße", "Grüße")
    assert (await choice_of(body))["logprobs"] == {"content": content, "refusal": None}
    assert [choice["logprobs"] for choice in await streamed_choices(body)] == [
        None,
        {"content": content[:1], "refusal": None},
        {"content": content[1:], "refusal": None},
        None,
    ]


async def test_a_calls_tokens_are_no_content(serve: Serve) -> None:
    """The text before it has its probabilities; the call has none."""
    turns = ["So, <tool_call>", Fills("today")]
    body = {"messages": [USER], "logprobs": True, "tools": [TODAY]}
    serve(*turns, *turns)
    choice = await choice_of(body)
    assert choice["message"]["tool_calls"]
    tokens = choice["logprobs"]["content"]
    assert "".join(each["token"] for each in tokens).startswith(choice["message"]["content"])
    assert not any("tool_call" in each["token"] for each in tokens)
    told = [choice["logprobs"] or {"content": []} for choice in await streamed_choices(body)]
    assert [token for each in told for token in each["content"]] == tokens


async def test_a_reply_of_calls_alone_has_an_empty_list(serve: Serve) -> None:
    """It was asked for, and there is no content."""
    serve(Fills("today"))
    body = {"messages": [USER], "logprobs": True, "tools": [TODAY], "tool_choice": "required"}
    assert (await choice_of(body))["logprobs"] == {"content": [], "refusal": None}


def test_a_part_of_a_character_is_told_by_its_bytes() -> None:
    """Its text can only be a stand-in."""
    half = TokenLogprob("\udcc3", HALF, (TokenLogprob("\udcc3", HALF),))
    told = {"token": "�", "bytes": [0xC3], "logprob": HALF}
    assert chat_logprobs([half])["content"] == [{**told, "top_logprobs": [told]}]
    assert text_logprobs([half], 0)["tokens"] == ["�"]


# As llama.cpp tells them


def token(identity: int, text: bytes, logprob: float = -1.0) -> dict[str, Any]:
    """One token in llama.cpp's words."""
    return {"id": identity, "bytes": list(text), "logprob": logprob}


def piece(text: str, identity: int, *top: dict[str, Any], logprob: float = -1.0) -> dict[str, Any]:
    """A chunk of llama.cpp's stream: the text that leaves with a token that was sampled."""
    entry = {**token(identity, text.encode(), logprob), "top_logprobs": list(top)}
    return {"content": text, "completion_probabilities": [entry]}


def test_as_many_likeliest_are_told_as_were_wanted() -> None:
    """One that was asked for only to be told anything is left out."""
    chunk = piece("Hi", 1, token(1, b"Hi", -0.5), token(2, b"Ho", -2.0))
    assert TokenLogprobs(0).of(chunk) == (TokenLogprob("Hi", -1.0),)
    top = (TokenLogprob("Hi", -0.5), TokenLogprob("Ho", -2.0))
    assert TokenLogprobs(2).of(chunk) == (TokenLogprob("Hi", -1.0, top),)


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([piece("", 1, token(1, b" Obs")), piece(" Obscure", 2, token(2, b"cure"))],
         [[], [" Obs", "cure"]]),
        ([piece("", 1, token(1, b" Obs")), piece("", 2, token(2, b"ervation")),
          piece(" ", 3, token(3, b":"))],
         [[], [], [" Obs"]]),
        ([piece("", 2, token(2, b"")), {"content": ""}], [[], []]),
        ([piece("😀", 9, token(9, b"\x80"))], [["😀"]]),
        ([piece("😀", 9, token(8, b"x"))], [["😀"]]),
    ],
    ids=["no stop string", "stop string", "end of turn", "character", "character of unknown end"],
)  # fmt: skip
def test_tokens_are_told_with_their_text(chunks: list[Any], told: list[list[str]]) -> None:
    """Those held back for a stop string once it is clear that there is none, and else never.

    The end of a turn is no text. Of a character of several tokens llama.cpp tells the last alone.
    """
    logprobs = TokenLogprobs(0)
    assert [[each.token for each in logprobs.of(chunk)] for chunk in chunks] == told


def test_likeliest_tokens_may_be_parts_of_characters() -> None:
    """They keep their bytes."""
    (told,) = TokenLogprobs(2).of(piece("a", 1, token(1, b"a"), token(2, b"\xe4\xbd")))
    assert told.top[1].token.encode(errors="surrogateescape") == b"\xe4\xbd"


def test_what_is_as_good_as_impossible_has_a_number() -> None:
    """llama.cpp's is beyond what clients read as one."""
    impossible = piece("a", 1, token(1, b"a", -3.4e38), logprob=-3.4e38)
    (told,) = TokenLogprobs(1).of(impossible)
    assert (told.logprob, told.top[0].logprob) == (LEAST, LEAST)
