"""Qwen3-Coder: how Qwen3-Coder calls tools, in tags instead of JSON.

    <tool_call>
    <function=get_weather>
    <parameter=city>
    Oslo
    </parameter>
    </function>
    </tool_call>

Results are those of Hermes. The outer tag may be missing. Source: the chat template of
Qwen/Qwen3-Coder-30B-A3B-Instruct.
"""

from dataclasses import replace

from function_calling.formats.arguments import NamedArguments
from function_calling.formats.hermes import HERMES

QWEN3CODER = replace(
    HERMES,
    name="qwen3coder",
    template_marks=("<function=",),
    tools_prompt=(
        "# Tools\n\n"
        "You have access to the following functions:\n\n"
        "<tools>\n{tools}\n</tools>\n\n"
        "If you choose to call a function, reply in this format, with no text behind it, each "
        "parameter's value on lines of its own and every required parameter given:\n\n"
        "<tool_call>\n"
        "<function=example_function_name>\n"
        "<parameter=example_parameter>\n"
        "value\n"
        "</parameter>\n"
        "</function>\n"
        "</tool_call>"
    ),
    call_open="<tool_call>\n<function=",
    before_arguments=">\n",
    arguments=NamedArguments(
        before_name="<parameter=", before_value=">\n", close="\n</parameter>\n"
    ),
    call_close="</function>\n</tool_call>",
    call_starts=(r"(?:<tool_call>\s*)?<function=\s*(?P<name>\L<names>)\s*>",),
)
