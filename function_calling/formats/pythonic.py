"""Pythonic calls: how Llama 4 and Llama 3.2 write calls as a list of Python.

The first user turn begins with the tools; several calls stand in one list:

    [get_weather(city="Oslo", days=2), get_news(city="Oslo")]

Llama 4 may set it between `<|python_start|>` and `<|python_end|>`. Source:
https://www.llama.com/docs/model-cards-and-prompt-formats/llama4.
"""

from function_calling.formats.arguments import KEYWORD_ARGUMENTS
from function_calling.formats.format import Format

PYTHONIC = Format(
    name="pythonic",
    template_marks=("[func_name1(", "<|python_start|>"),
    tools_prompt=(
        "You can call these functions. If you call any, answer with the calls alone, in the form "
        "[func_name1(params_name1=params_value1, params_name2=params_value2...), "
        "func_name2(params)], and with no other text.\n\n"
        "Here is a list of functions in JSON format that you can invoke.\n{tools}"
    ),
    tools_turn="first user",
    tool_text="function",
    tools_listed=True,
    tools_indent=4,
    calls_open="[",
    before_arguments="(",
    arguments=KEYWORD_ARGUMENTS,
    call_close=")",
    call_separator=", ",
    calls_close="]",
    call_starts=(r"(?:<\|python_start\|>\s*)?\[\s*(?P<name>\L<names>)\s*\(",),
    result_role="ipython",
    special_tokens=("<|python_start|>", "<|python_end|>"),
)
