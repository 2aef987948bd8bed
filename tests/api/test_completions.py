"""`POST /completions`: a prompt as it is, continued."""

import json
import math
from typing import Any

import openai
import pytest
from scripted_engine import Fails
from v1_client import Serve, client, error_of, events_of, post, serving, without_head

from function_calling.errors import EngineError, RequestError

serve = pytest.fixture(serving)
PATH = "/completions"
PROMPT = "Once upon a time"
HALF = -math.log(2)


async def test_a_prompt_goes_to_the_model_as_it_is(serve: Serve) -> None:
    """No template frames it, and the reply is a text completion."""
    engine = serve(" there was")
    reply = await client().completions.create(model="any", prompt=PROMPT)
    assert engine.prompts == [PROMPT]
    assert reply.object == "text_completion"
    assert reply.id.startswith("cmpl-")
    assert reply.model == "scripted"
    choice = reply.choices[0]
    assert (choice.index, choice.text, choice.finish_reason) == (0, " there was", "stop")
    assert choice.logprobs is None
    assert reply.usage.completion_tokens == 4
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 4


async def test_a_list_of_one_prompt_is_that_prompt(serve: Serve) -> None:
    """As some clients always send it."""
    engine = serve("ok")
    assert (await post({"prompt": [PROMPT]}, PATH)).status_code == 200
    assert engine.prompts == [PROMPT]


async def test_several_prompts_have_their_completions_in_order(serve: Serve) -> None:
    """Whole and streamed; a prompt counts once for all of its completions."""
    serve("one", "two", "three", "four")
    asked = {"model": "any", "prompt": ["a b", "c"], "n": 2}
    whole = await client().completions.create(**asked)
    assert [(each.index, each.text) for each in whole.choices] == list(
        enumerate(("one", "two", "three", "four"))
    )
    serve("one", "two", "three", "four")
    options = {"include_usage": True}
    stream = await client().completions.create(**asked, stream=True, stream_options=options)
    texts, usage = dict.fromkeys(range(4), ""), None
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert list(texts.values()) == ["one", "two", "three", "four"]
    assert usage == whole.usage
    assert whole.usage.prompt_tokens < sum(len(each) for each in ("a b", "a b", "c", "c"))


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({}, "max_tokens", 16),
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")),
        ({"temperature": 0}, "temperature", 0.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"seed": 7}, "seed", 7),
        ({"logit_bias": {"5": -100}}, "logit_bias", ((5, -100.0),)),
        ({}, "logprobs", None),
        ({"logprobs": 0}, "logprobs", 0),
        ({"logprobs": 5}, "logprobs", 5),
        ({}, "constraint", ()),
    ],
    ids=str,
)
async def test_sampling_parameters_reach_the_engine(
    serve: Serve, options: dict[str, Any], field: str, value: object
) -> None:
    """With OpenAI's defaults where nothing is said: 16 tokens, too."""
    engine = serve("ok")
    await post({"prompt": PROMPT, **options}, PATH)
    assert getattr(engine.samplings[0], field) == value


async def test_too_few_tokens_are_length(serve: Serve) -> None:
    """As in a chat."""
    serve(" there was a king")
    reply = await client().completions.create(model="x", prompt=PROMPT, max_tokens=2)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == (" there", "length")


async def test_several_completions_count_the_prompt_once(serve: Serve) -> None:
    """In their order, each with the next seed."""
    engine = serve("a king", "a queen")
    body = {"prompt": PROMPT, "n": 2, "seed": 3}
    told = (await post(body, PATH)).json()
    assert [(each["index"], each["text"]) for each in told["choices"]] == [
        (0, "a king"),
        (1, "a queen"),
    ]
    assert [sampling.seed for sampling in engine.samplings] == [3, 4]
    assert told["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


# Streams


def chunk(text: str, reason: str | None = None, index: int = 0) -> dict[str, Any]:
    """A chunk as it must be, but for its head."""
    choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": None}
    return {"object": "text_completion", "model": "scripted", "choices": [choice]}


async def test_a_stream_has_openais_chunks(serve: Serve) -> None:
    """Text piece by piece, then the reason."""
    serve("Hello")
    assert without_head(await events_of({"prompt": PROMPT}, PATH)) == [
        chunk("Hel"),
        chunk("lo"),
        chunk("", "stop"),
    ]


async def test_usage_is_streamed_when_asked_for(serve: Serve) -> None:
    """In a last chunk without choices; all others have the field as null."""
    serve("Hello", "Hey")
    body = {"prompt": PROMPT, "n": 2, "stream_options": {"include_usage": True}}
    *chunks, last = await events_of(body, PATH)
    assert all(each["choices"] and each["usage"] is None for each in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}


async def test_the_sdk_joins_the_stream(serve: Serve) -> None:
    """Each completion under its index."""
    serve("a king", "a queen")
    stream = await client().completions.create(model="x", prompt=PROMPT, n=2, stream=True)
    texts = ["", ""]
    reasons = {}
    async for each in stream:
        choice = each.choices[0]
        texts[choice.index] += choice.text
        reasons[choice.index] = choice.finish_reason
    assert texts == ["a king", "a queen"]
    assert reasons == {0: "stop", 1: "stop"}


# Probabilities


async def test_each_token_is_told_with_its_probability_and_place(serve: Serve) -> None:
    """The sampled token is among the likeliest, asked for or not."""
    serve("Hello")
    told = (await post({"prompt": PROMPT, "logprobs": 2}, PATH)).json()["choices"][0]
    assert told["logprobs"] == {
        "tokens": ["Hel", "lo"],
        "token_logprobs": [HALF, HALF],
        "top_logprobs": [{"Hel": HALF, "Hel?": 2 * HALF}, {"lo": HALF, "lo?": 2 * HALF}],
        "text_offset": [0, 3],
    }
    serve("Hello")
    told = (await post({"prompt": PROMPT, "logprobs": 0}, PATH)).json()["choices"][0]
    assert told["logprobs"]["top_logprobs"] == [{"Hel": HALF}, {"lo": HALF}]


async def test_streamed_tokens_have_the_places_of_the_whole(serve: Serve) -> None:
    """Counted from the completion's beginning."""
    serve("Hello")
    events = await events_of({"prompt": PROMPT, "logprobs": 0}, PATH)
    told = [event["choices"][0]["logprobs"] for event in events]
    assert [each and each["text_offset"] for each in told] == [[0], [3], None]


# What is refused


@pytest.mark.parametrize(
    ("options", "param", "told"),
    [
        ({"prompt": None}, "prompt", "prompt=null"),
        ({"prompt": []}, "prompt", "prompt=[]: List should have at least 1 item"),
        (
            {"prompt": ["a"] * 9, "n": 2},
            "prompt",
            "9 prompts, which makes 18 completions; wanted 16",
        ),
        ({"prompt": [1, 2]}, "prompt", "prompt[1]=2: Input should be a valid string"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens=0"),
        ({"n": 17}, "n", "n=17"),
        ({"logprobs": 6}, "logprobs", "logprobs=6"),
        ({"stop": list("abcde")}, "stop", "at most 4 items"),
        ({"logit_bias": {"x": 1}}, "logit_bias", 'logit_bias="x"'),
    ],
    ids=str,
)
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, options: dict[str, Any], param: str, told: str
) -> None:
    """A 400 in OpenAI's shape."""
    serve()
    status, error = await error_of({"prompt": PROMPT, **options}, PATH)
    assert (status, error["param"], error["type"]) == (400, param, "invalid_request_error")
    assert told in error["message"]


async def test_a_prompt_must_be_there(serve: Serve) -> None:
    """Nothing else must."""
    serve()
    status, error = await error_of({}, PATH)
    assert (status, error["message"]) == (400, "prompt is missing.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_of", 3),
        ("echo", True),
        ("suffix", "The end."),
    ],
)
async def test_a_parameter_that_is_not_supported_is_refused_by_name(
    serve: Serve, name: str, value: Any
) -> None:
    """A client that sends it counts on it."""
    serve()
    status, error = await error_of({"prompt": PROMPT, name: value}, PATH)
    assert (status, error["param"], error["code"]) == (400, name, "unsupported_parameter")
    assert error["message"] == f"{name}={json.dumps(value)}: this parameter is not supported."


@pytest.mark.parametrize(
    "harmless", [{"best_of": 1}, {"echo": False}, {"suffix": ""}, {"suffix": None}, {"user": "me"}]
)
async def test_parameters_that_ask_for_nothing_are_taken(
    serve: Serve, harmless: dict[str, Any]
) -> None:
    """Clients send defaults along."""
    serve("ok")
    assert (await post({"prompt": PROMPT, **harmless}, PATH)).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_refuses_is_an_error_with_its_status(
    serve: Serve, stream: bool
) -> None:
    """Before the first event a stream is no stream yet."""
    serve(Fails(RequestError("Too long.", param="prompt", code="context_length_exceeded")))
    status, error = await error_of({"prompt": PROMPT, "stream": stream}, PATH)
    assert (status, error["code"]) == (400, "context_length_exceeded")


async def test_an_engine_that_fails_in_mid_stream_ends_it_with_the_error(serve: Serve) -> None:
    """The SDK raises it."""
    serve(Fails(EngineError("It broke."), "Hello"))
    stream = await client().completions.create(model="x", prompt=PROMPT, stream=True)
    with pytest.raises(openai.APIError, match=r"It broke\."):
        [each async for each in stream]
