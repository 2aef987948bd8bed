"""A list of JSON: calls for models that were tuned for no spelling that their template knows.

The system turn ends with the tools; calls are one list, results are told as Hermes tells them:

    [{"name": "convert_currency", "arguments": {"amount": 42, "from_currency": "USD"}}]

    <|im_start|>user
    <tool_response>
    {"converted_amount": 131.95}
    </tool_response><|im_end|>

An empty list says that no tool fits; the reply is then what the model says to the same messages
without tools. A list is what such models write anyway, bare or in a Markdown fence. Qwen2.5-Coder
is one: its template shows a call in tags with doubled braces, and the model was tuned on neither.
"""

from dataclasses import replace

from function_calling.formats.hermes import HERMES, HERMES_TOOLS

JSON_LIST = replace(
    HERMES,
    name="json_list",
    template_marks=HERMES.template_faults,
    tools_prompt=HERMES_TOOLS
    + (
        "To call functions, answer with one JSON list that holds a JSON object with function name "
        "and arguments for each call, or that is empty, [], if no function fits:\n"
        '[{"name": <function-name>, "arguments": <args-json-object>}, ...]'
    ),
    calls_open="[",
    call_open='{"name": "',
    call_close="}",
    call_separator=", ",
    calls_close="]",
    no_calls="[]",
    after_results="\nNow answer my question in a full sentence.",
)
