"""Hermes: how Nous Hermes, Qwen2.5 and Qwen3 call tools.

The system turn ends with the tools; a call, several calls, and results are:

    <tool_call>
    {"name": "convert_currency", "arguments": {"amount": 42, "from_currency": "USD"}}
    </tool_call>

    <|im_start|>user
    <tool_response>
    {"converted_amount": 131.95}
    </tool_response><|im_end|>

Models that were never tuned for the tags answer with the same JSON bare or in a Markdown fence,
which is a call too when it names an offered tool. Source: the chat templates of
NousResearch/Hermes-3-Llama-3.1-8B and Qwen/Qwen2.5-7B-Instruct.
"""

from function_calling.formats.detection import BARE_CALL
from function_calling.formats.format import Format

HERMES_TOOLS = (
    "# Tools\n\n"
    "You may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n"
    "<tools>\n{tools}\n</tools>\n\n"
)
"""How tools are told; what follows says how they are called."""

HERMES = Format(
    name="hermes",
    template_marks=("<tool_call>",),
    # Qwen2.5-Coder's template shows the call with doubled braces, and the model copies them.
    template_faults=('{{\\"name\\"',),
    tools_prompt=HERMES_TOOLS
    + (
        "For each function call, return a json object with function name and arguments within "
        "<tool_call></tool_call> XML tags:\n"
        "<tool_call>\n"
        '{"name": <function-name>, "arguments": <args-json-object>}\n'
        "</tool_call>"
    ),
    call_open='<tool_call>\n{"name": "',
    before_arguments='", "arguments":',
    call_close="}\n</tool_call>",
    call_starts=(r"<tool_call>", BARE_CALL),
    result="<tool_response>\n{content}\n</tool_response>",
    result_role="user",
    special_tokens=("<tool_call>", "</tool_call>"),
)
