"""Groq: how the Llama 3 Groq tool-use models call tools, much as Hermes does.

The system turn ends with the tools; a call carries a number, which is 0 here, and results come in
turns of role `tool`, where the template knows it:

    <tool_call>
    {"id": 0, "name": "create_task", "arguments": {"task": "fix a bug"}}
    </tool_call>

    <|start_header_id|>tool<|end_header_id|>

    <tool_response>
    {"result": "ok"}
    </tool_response><|eot_id|>

The arguments may also come as a string of JSON. Source: the model card of
Groq/Llama-3-Groq-8B-Tool-Use. Its chat template knows nothing of tools, so `TOOL_FORMAT` chooses
this format.
"""

from dataclasses import replace

from function_calling.formats.hermes import HERMES

GROQ = replace(
    HERMES,
    name="groq",
    template_marks=(),
    tools_prompt=(
        "You are a function calling AI model. The function signatures within <tools></tools> XML "
        "tags are yours to call for the user's query. Don't make assumptions about what values to "
        "plug into functions. For each function call return a json object with function name and "
        "arguments within <tool_call></tool_call> XML tags as follows:\n"
        "<tool_call>\n"
        '{"name": <function-name>,"arguments": <args-dict>}\n'
        "</tool_call>\n\n"
        "Here are the available tools:\n"
        "<tools>\n{tools}\n</tools>"
    ),
    tool_text="function",
    call_open='<tool_call>\n{"id": 0, "name": "',
    result_role="tool",
    special_tokens=(),
)
