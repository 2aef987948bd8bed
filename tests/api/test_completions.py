"""`POST /completions`: a prompt as it is, continued."""

import math
from typing import Any

import pytest
from v1_client import (
    Serve,
    choice_of,
    client,
    events_of,
    is_refused,
    post,
    serving,
    streamed_choices,
    without_head,
)

serve = pytest.fixture(serving)
PATH = "/completions"
PROMPT = {"prompt": "Once upon a time"}
HALF = -math.log(2)


async def test_a_prompt_goes_to_the_model_as_it_is(serve: Serve) -> None:
    """No template frames it, and the reply is a text completion; a list of one is that prompt."""
    engine = serve(" there was", " there was")
    for prompt in (PROMPT["prompt"], [PROMPT["prompt"]]):
        reply = (await post({"prompt": prompt}, PATH)).json()
        assert reply.pop("id").startswith("cmpl-")
        assert reply.pop("created") > 1_700_000_000
        assert reply == {
            **chunk(" there was", "stop"),
            "usage": {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8},
        }
    assert engine.prompts == [PROMPT["prompt"]] * 2


async def test_several_prompts_have_their_completions_in_order(serve: Serve) -> None:
    """Whole and streamed; a prompt counts once for all of its own (G18).

    Each has the next seed, so that the same request gives the same (G20).
    """
    texts = ["one", "two", "three", "four"]
    engine = serve(*texts, *texts)
    asked = {"model": "any", "prompt": ["a b", "c"], "n": 2, "seed": 3}
    whole = await client().completions.create(**asked)
    assert [(each.index, each.text) for each in whole.choices] == list(enumerate(texts))
    assert [sampling.seed for sampling in engine.samplings] == [3, 4, 3, 4]
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 6)
    options = {"include_usage": True}
    stream = await client().completions.create(**asked, stream=True, stream_options=options)
    *chunks, last = [each async for each in stream]
    told, reasons = dict.fromkeys(range(4), ""), {}
    for each in chunks:
        (choice,) = each.choices
        told[choice.index] += choice.text
        reasons[choice.index] = choice.finish_reason
        assert each.model_dump(exclude_unset=True)["usage"] is None
    assert list(told.values()) == texts
    assert reasons == dict.fromkeys(range(4), "stop")
    assert (last.choices, last.usage) == ([], whole.usage)


async def test_openais_defaults_hold(serve: Serve) -> None:
    """Of 16 tokens, too; what asks for nothing is taken, and what nobody knows is named."""
    engine = serve("ok")
    body = {**PROMPT, "best_of": 1, "echo": False, "suffix": "", "user": "me"}
    response = await post(body, PATH)
    assert response.headers.get("x-ignored-parameters") == "user"
    (used,) = engine.samplings
    assert (used.max_tokens, used.logprobs, used.constraint) == (16, None, ())


def chunk(text: str, reason: str | None = None) -> dict[str, Any]:
    """A chunk as it must be, but for its head."""
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    return {"object": "text_completion", "model": "scripted", "choices": [choice]}


async def test_a_stream_has_openais_chunks(serve: Serve) -> None:
    """Text piece by piece, then the reason."""
    serve("Hello")
    told = without_head(await events_of({**PROMPT, "max_tokens": 2}, PATH))
    assert told == [chunk("Hel"), chunk("lo"), chunk("", "length")]


async def test_each_token_is_told_with_its_probability_and_place(serve: Serve) -> None:
    """The sampled token is among the likeliest, asked for or not; a stream counts on."""
    serve("Hello", "Hello")
    assert (await choice_of({**PROMPT, "logprobs": 2}, PATH))["logprobs"] == {
        "tokens": ["Hel", "lo"],
        "token_logprobs": [HALF, HALF],
        "top_logprobs": [{"Hel": HALF, "Hel?": 2 * HALF}, {"lo": HALF, "lo?": 2 * HALF}],
        "text_offset": [0, 3],
    }
    told = [each["logprobs"] for each in await streamed_choices({**PROMPT, "logprobs": 0}, PATH)]
    assert [each and each["text_offset"] for each in told] == [[0], [3], None]
    assert [each and each["top_logprobs"] for each in told] == [
        [{"Hel": HALF}],
        [{"lo": HALF}],
        None,
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt": None}, "prompt=null"),
        ({"prompt": []}, "prompt=[]: List should have at least 1 item"),
        ({"prompt": ["a"] * 9, "n": 2}, "which makes 18 completions; wanted 16"),
        ({"prompt": [1, 2]}, "prompt[1]=2: Input should be a valid string"),
        ({"prompt": "a" * 60_000}, "The prompt has 60000 characters"),
    ],
    ids=str,
)
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, body: Any, told: str
) -> None:
    """A 400 in OpenAI's shape."""
    serve()
    await is_refused(body, "prompt", told, PATH)
