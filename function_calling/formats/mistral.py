"""Mistral: how Mistral's models call tools, before tokenizer version 11 and since.

The last user turn begins with the tools. Before, the calls were one list of JSON:

    [AVAILABLE_TOOLS] [{"type": "function", "function": {…}}][/AVAILABLE_TOOLS][INST] …[/INST]
    [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "9f8c1a2b3"}]</s>
    [TOOL_RESULTS] {"content": 7, "call_id": "9f8c1a2b3"}[/TOOL_RESULTS]

Since, each has a marker of its own, and a model may tell the id before `[ARGS]`:

    [TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}</s>

Source: https://docs.mistral.ai/capabilities/function_calling and the chat templates of
mistralai/Mistral-7B-Instruct-v0.3 and mistralai/Mistral-Small-3.2-24B-Instruct-2506, which take
ids of nine letters and digits alone.
"""

from dataclasses import replace

from function_calling.formats.detection import BARE_CALL
from function_calling.formats.format import Format

MISTRAL = Format(
    name="mistral",
    template_marks=("[TOOL_CALLS]",),
    tools_prompt="[AVAILABLE_TOOLS] {tools}[/AVAILABLE_TOOLS]",
    tools_turn="last user",
    tools_listed=True,
    calls_open="[TOOL_CALLS] [",
    call_open='{"name": "',
    before_arguments='", "arguments":',
    call_close="}",
    call_separator=", ",
    calls_close="]",
    call_starts=(r"\[TOOL_CALLS\](?=\s*\[|\s*\{)", BARE_CALL),
    result="[TOOL_RESULTS] {content}[/TOOL_RESULTS]",
    result_role="tool",
    special_tokens=("[TOOL_CALLS]",),
)

MISTRAL_V11 = replace(
    MISTRAL,
    name="mistral_v11",
    template_marks=("[ARGS]",),
    calls_open="",
    call_open="[TOOL_CALLS]",
    before_arguments="[ARGS]",
    call_close="",
    call_separator="",
    calls_close="",
    call_starts=(
        r"\[TOOL_CALLS\]\s*(?P<name>\L<names>)\s*(?:\[CALL_ID\]\w*\s*)?(?:\[ARGS\]\s*)?(?=[{\"])",
    ),
    special_tokens=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
)
