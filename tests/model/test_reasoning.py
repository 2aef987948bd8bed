"""What a model thinks is told apart from its reply, in every mode, streamed and whole."""

from functools import partial
from typing import Any

import pytest
from scripted_engine import OPENING, QWEN3, Fills, qwen3_model
from v1_client import Serve, events_of, post, serving

from function_calling.model.reasoning import REASONING_MARKS, reasoning_marks

serve = pytest.fixture(serving)
USER = {"role": "user", "content": "How cold is it?"}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("weather", "news")]
THOUGHT = "Cold? <tool_call>\n\nI </thi  guess <."
WRITTEN = f"<think>\n{THOUGHT}\n</think>"
CALL = '\n\n<tool_call>\n{"name": "news", "arguments":'
FORMAT = {"type": "json_object", "schema": {"properties": {}, "additionalProperties": False}}

opening = partial(qwen3_model, template=OPENING)
both_templates = pytest.mark.parametrize(
    ("make", "written"),
    [(qwen3_model, WRITTEN), (opening, WRITTEN.removeprefix("<think>\n"))],
    ids=["model begins it", "template begins it"],
)


async def reply(**options: Any) -> dict[str, Any]:
    """A whole reply's first choice, with its usage."""
    response = await post({"messages": [USER], **options})
    assert response.status_code == 200, response.text
    return {**response.json()["choices"][0], "usage": response.json()["usage"]}


async def joined(**options: Any) -> dict[str, Any]:
    """A stream joined to the same."""
    usage = {"include_usage": True}
    *chunks, last = await events_of({"messages": [USER], "stream_options": usage, **options})
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    message: dict[str, Any] = {
        key: "".join(delta.get(key) or "" for delta in deltas)
        for key in ("content", "reasoning_content")
    }
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    message["calls"] = [call["name"] for call in calls if "name" in call]
    reason = chunks[-1]["choices"][0]["finish_reason"]
    return {"message": message, "finish_reason": reason, "usage": last["usage"]}


@both_templates
@pytest.mark.parametrize("piece_length", [1, 1000])
@pytest.mark.parametrize(
    ("options", "behind", "content", "calls"),
    [
        ({}, ["\n\nIt is."], "It is.", []),
        ({"tools": TOOLS}, ["\n\nWait." + CALL, Fills("news")], "Wait.", ["news"]),
        ({"tools": TOOLS, "tool_choice": "required"}, [Fills("news")], None, ["news"]),
        ({"response_format": FORMAT, "stop": ["guess", "x"]}, [Fills()], "{}", []),
    ],
    ids=["free", "text and call", "required", "JSON"],
)
async def test_reasoning_is_told_apart_in_every_mode(
    serve: Serve,
    make: Any,
    written: str,
    options: dict[str, Any],
    behind: list[Any],
    content: str | None,
    calls: list[str],
    piece_length: int,
) -> None:
    """Whole and streamed alike; the reply goes on behind it, under its grammar if it has one."""
    turns = [written + "\n\nMore", *behind]
    engine = serve(*turns, *turns, make=make, piece_length=piece_length)
    whole, streamed = await reply(**options), await joined(**options)
    message = whole.pop("message")
    assert (message["reasoning_content"], message["content"]) == (THOUGHT, content)
    assert [call["function"]["name"] for call in message.get("tool_calls", ())] == calls
    assert streamed.pop("message") == {
        "content": content or "",
        "reasoning_content": THOUGHT,
        "calls": calls,
    }
    assert streamed == {key: whole[key] for key in ("finish_reason", "usage")}
    tokens = whole["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert tokens == -(-len(engine.said[0]) // piece_length)
    assert tokens < whole["usage"]["completion_tokens"]
    assert engine.prompts[1].startswith(engine.prompts[0] + written)


@both_templates
async def test_tokens_that_run_out_in_reasoning_are_length(
    serve: Serve, make: Any, written: str
) -> None:
    """There is no content, and no call, though one is forced."""
    serve(written, written, make=make)
    options = {"tools": TOOLS, "tool_choice": "required", "max_tokens": 5}
    whole, streamed = await reply(**options), await joined(**options)
    message = whole["message"]
    assert (message["content"], whole["finish_reason"]) == (None, "length")
    assert "tool_calls" not in message
    assert THOUGHT.startswith(message["reasoning_content"])
    assert message["reasoning_content"] == streamed["message"]["reasoning_content"]
    assert whole["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}


async def test_a_thought_that_the_model_leaves_open_is_closed(serve: Serve) -> None:
    """A forced call is made all the same; what looked like the mark is told."""
    engine = serve("<think>\nHm </thi", Fills(), make=qwen3_model)
    choice = await reply(tools=TOOLS, tool_choice="required")
    assert choice["message"]["reasoning_content"] == "Hm </thi"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"
    assert '<think>\nHm </thi</think>\n<tool_call>\n{"name": "' in engine.prompts[1]


@pytest.mark.parametrize("written", ["<th", "<thinking>", "", "Say <think>x</think>!"])
async def test_a_model_that_does_not_think_just_replies(serve: Serve, written: str) -> None:
    """What it wrote first is sampled again as content, and counts once."""
    serve(written, written, make=qwen3_model, piece_length=1)
    choice = await reply(max_tokens=max(1, len(written)))
    assert "reasoning_content" not in choice["message"]
    assert choice["message"]["content"] == written
    assert choice["usage"]["completion_tokens"] == len(written)
    assert "completion_tokens_details" not in choice["usage"]


async def test_an_empty_thought_is_not_told(serve: Serve) -> None:
    """Some models write its marks alone."""
    serve("<think>\n\n</think>\n\n", "Hello", make=qwen3_model)
    choice = await reply()
    assert "reasoning_content" not in choice["message"]
    assert choice["message"]["content"] == "Hello"


@pytest.mark.parametrize(
    ("options", "thinks"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}}, True),
    ],
    ids=str,
)
async def test_thinking_is_turned_off_where_the_template_can(
    serve: Serve, options: dict[str, Any], thinks: bool
) -> None:
    """The prompt ends with an empty thought; none is waited for."""
    engine = serve(*[WRITTEN] * thinks, CALL, Fills(), make=qwen3_model)
    message = (await reply(tools=TOOLS, **options))["message"]
    assert ("reasoning_content" in message) is thinks
    assert len(message["tool_calls"]) == 1
    assert ("<think>\n\n</think>\n\n" in engine.prompts[0]) is not thinks


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "Look it up."},
        {"reasoning_content": None, "reasoning": "Look it up."},
        {"reasoning_content": "Look it up.", "reasoning": "Old."},
    ],
    ids=lambda thought: " and ".join(thought),
)
async def test_reasoning_in_a_history_is_handed_to_the_template(
    serve: Serve, thought: dict[str, str]
) -> None:
    """Under each name that servers have for it; Qwen3's shows that since the last question."""
    call = {"id": "1", "function": {"name": "news", "arguments": "{}"}}
    history = [
        USER,
        {"role": "assistant", "content": "", "reasoning_content": "Old."},
        USER,
        {"role": "assistant", "tool_calls": [call], **thought},
        {"role": "tool", "tool_call_id": "1", "content": "Cold."},
    ]
    engine = serve(WRITTEN, "Cold.", make=qwen3_model)
    await reply(messages=history)
    assert "Old." not in engine.prompts[0]
    assert "<think>\nLook it up.\n</think>" in engine.prompts[0]


# The marks


def test_the_template_tells_the_marks() -> None:
    """By the one that ends reasoning, which a template drops from earlier turns."""
    for marks in REASONING_MARKS:
        assert reasoning_marks(f"{{{{ content.split('{marks.end}')[-1] }}}}") is marks
    assert reasoning_marks(QWEN3) is REASONING_MARKS[0]
    assert reasoning_marks("{{ messages }}") is None
