"""Token probabilities: of content alone, whole and streamed, and as llama.cpp tells them."""

import math
from typing import Any

import pytest
from scripted_engine import Fills
from v1_client import Serve, client, events_of, post, serving

from function_calling.api.reply import chat_logprobs, text_logprobs
from function_calling.engines.token_logprobs import LEAST, TokenLogprobs
from function_calling.model.words import TokenLogprob

serve = pytest.fixture(serving)
USER = {"role": "user", "content": "42 USD?"}
TODAY = {"type": "function", "function": {"name": "today"}}
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
        ({"top_logprobs": 0}, [entry("Grü"), entry("ße")]),
        ({"top_logprobs": 2}, [entry("Grü", "Grü", "Grü?"), entry("ße", "ße", "ße?")]),
    ],
    ids=str,
)
async def test_each_token_is_told_with_its_probability(
    serve: Serve, options: dict[str, Any], content: list[Any]
) -> None:
    """In whole replies, and in a stream with the text that the tokens make."""
    body = {"messages": [USER], "logprobs": True, **options}
    serve("Grüße")
    whole = (await post(body)).json()["choices"][0]
    assert whole["logprobs"] == {"content": content, "refusal": None}
    serve("Grüße")
    choices = [event["choices"][0] for event in await events_of(body)]
    assert [choice["logprobs"] for choice in choices] == [
        None,
        {"content": content[:1], "refusal": None},
        {"content": content[1:], "refusal": None},
        None,
    ]


async def test_unasked_nothing_is_told(serve: Serve) -> None:
    """And the engine is not asked."""
    engine = serve("Hello")
    assert (await post({"messages": [USER]})).json()["choices"][0]["logprobs"] is None
    assert engine.samplings[0].logprobs is None


async def test_a_calls_tokens_are_no_content(serve: Serve) -> None:
    """The text before it has its probabilities; the call has none."""
    turns = ["So, <tool_call>", Fills("today")]
    body = {"messages": [USER], "logprobs": True, "tools": [TODAY]}
    serve(*turns)
    choice = (await post(body)).json()["choices"][0]
    assert choice["message"]["tool_calls"]
    tokens = choice["logprobs"]["content"]
    assert "".join(each["token"] for each in tokens).startswith(choice["message"]["content"])
    assert not any("tool_call" in each["token"] for each in tokens)
    serve(*turns)
    streamed = [
        each
        for event in await events_of(body)
        if (told := event["choices"][0]["logprobs"])
        for each in told["content"]
    ]
    assert streamed == tokens


async def test_a_reply_of_calls_alone_has_an_empty_list(serve: Serve) -> None:
    """It was asked for, and there is no content."""
    serve(Fills("today"))
    body = {"messages": [USER], "logprobs": True, "tools": [TODAY], "tool_choice": "required"}
    choice = (await post(body)).json()["choices"][0]
    assert choice["logprobs"] == {"content": [], "refusal": None}


async def test_every_reply_of_several_has_its_own(serve: Serve) -> None:
    """Under its own index."""
    serve("one", "two")
    reply = await client().chat.completions.create(
        model="x", messages=[USER], n=2, logprobs=True, top_logprobs=1
    )
    told = [[each.token for each in choice.logprobs.content] for choice in reply.choices]
    assert told == [["one"], ["two"]]


def test_a_part_of_a_character_is_told_by_its_bytes() -> None:
    """Its text can only be a stand-in."""
    half = TokenLogprob("\udcc3", HALF, (TokenLogprob("\udcc3", HALF),))
    told = {"token": "�", "bytes": [0xC3], "logprob": HALF}
    assert chat_logprobs([half])["content"] == [{**told, "top_logprobs": [told]}]
    assert text_logprobs([half], 0).tokens == ["�"]


# As llama.cpp tells them


def token(identity: int, text: bytes, logprob: float = -1.0) -> dict[str, Any]:
    """One token in llama.cpp's words."""
    return {"id": identity, "bytes": list(text), "logprob": logprob}


def piece(text: str, *entries: dict[str, Any]) -> dict[str, Any]:
    """A chunk of llama.cpp's stream."""
    return {"content": text, "completion_probabilities": list(entries)}


def sampled(identity: int, sent: bytes, *top: dict[str, Any]) -> dict[str, Any]:
    """A token that was sampled, with the text that leaves with it."""
    return {**token(identity, sent), "top_logprobs": list(top)}


def test_nothing_is_asked_of_llamacpp_unless_it_is_wanted() -> None:
    """Where no likeliest is wanted one is asked for: none would mean nothing at all."""
    assert TokenLogprobs(None).request() == {}
    assert TokenLogprobs(0).request() == {"n_probs": 1}
    assert TokenLogprobs(5).request() == {"n_probs": 5}
    assert TokenLogprobs(None).of({"content": "Hello"}) == ()


def test_as_many_likeliest_are_told_as_were_wanted() -> None:
    """One that was asked for only to be told anything is left out."""
    chunk = piece("Hi", sampled(1, b"Hi", token(1, b"Hi", -0.5), token(2, b"Ho", -2.0)))
    assert TokenLogprobs(0).of(chunk) == (TokenLogprob("Hi", -1.0),)
    top = (TokenLogprob("Hi", -0.5), TokenLogprob("Ho", -2.0))
    assert TokenLogprobs(2).of(chunk) == (TokenLogprob("Hi", -1.0, top),)


def test_tokens_held_back_for_a_stop_string_come_with_the_text() -> None:
    """Each with its own text, once it is clear that there is no stop string."""
    logprobs = TokenLogprobs(0)
    assert logprobs.of(piece("", sampled(1, b"", token(1, b" Obs")))) == ()
    told = logprobs.of(piece(" Obscure", sampled(2, b" Obscure", token(2, b"cure"))))
    assert [each.token for each in told] == [" Obs", "cure"]


def test_the_tokens_of_a_stop_string_are_not_told() -> None:
    """Only those of the text before it."""
    logprobs = TokenLogprobs(0)
    assert logprobs.of(piece("", sampled(1, b"", token(1, b" Obs")))) == ()
    assert logprobs.of(piece("", sampled(2, b"", token(2, b"ervation")))) == ()
    told = logprobs.of(piece(" ", sampled(3, b" ", token(3, b":"))))
    assert [each.token for each in told] == [" Obs"]


def test_the_end_of_a_turn_is_no_text() -> None:
    """So it is not told."""
    logprobs = TokenLogprobs(1)
    assert logprobs.of(piece("", sampled(2, b"", token(2, b"")))) == ()
    assert logprobs.of({"content": ""}) == ()


@pytest.mark.parametrize("known", [True, False])
def test_a_character_of_several_tokens_is_told_as_one(known: bool) -> None:
    """llama.cpp tells of its last token alone; the texts still join to the content."""
    top = token(9, b"\x80") if known else token(8, b"x")
    told = TokenLogprobs(0).of(piece("😀", sampled(9, "😀".encode(), top)))
    assert [each.token for each in told] == ["😀"]


def test_likeliest_tokens_may_be_parts_of_characters() -> None:
    """They keep their bytes."""
    chunk = piece("a", sampled(1, b"a", token(1, b"a"), token(2, b"\xe4\xbd")))
    (told,) = TokenLogprobs(2).of(chunk)
    assert told.top[1].token.encode(errors="surrogateescape") == b"\xe4\xbd"


def test_what_is_as_good_as_impossible_has_a_number() -> None:
    """llama.cpp's is beyond what clients read as one."""
    impossible = {**sampled(1, b"a", token(1, b"a", -3.4e38)), "logprob": -3.4e38}
    (told,) = TokenLogprobs(1).of(piece("a", impossible))
    assert (told.logprob, told.top[0].logprob) == (LEAST, LEAST)
