"""Llama 3.1 JSON calls: how Meta's Llama 3.1, 3.2 and 3.3 call tools of the user's.

The first user turn begins with the tools. A call is the whole turn, bare, sometimes behind
`<|python_tag|>`; several come separated by `; ` or a newline, though the model's template writes
only one a turn:

    {"name": "convert_currency", "parameters": {"amount": 42, "from_currency": "USD"}}

    <|start_header_id|>ipython<|end_header_id|>

    {"converted_amount": 131.95}<|eot_id|>

Source: https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1 and the chat template of
meta-llama/Llama-3.1-70B-Instruct.
"""

from function_calling.formats.detection import BARE_CALL
from function_calling.formats.format import Format

LLAMA3 = Format(
    name="llama3",
    template_marks=("<|python_tag|>", '{"name": function name, "parameters"'),
    tools_prompt=(
        "Given the following functions, please respond with a JSON for a function call with its "
        "proper arguments that best answers the given prompt.\n\n"
        'Respond in the format {"name": function name, "parameters": dictionary of argument name '
        "and its value}. Do not use variables.\n\n{tools}"
    ),
    tools_turn="first user",
    tools_indent=4,
    call_open='{"name": "',
    before_arguments='", "parameters":',
    call_close="}",
    call_separator="; ",
    call_starts=(r"<\|python_tag\|>", BARE_CALL),
    result_role="ipython",
    calls_apart=True,
    special_tokens=("<|python_tag|>",),
)
