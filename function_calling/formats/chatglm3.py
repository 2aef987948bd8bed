"""ChatGLM3: how ChatGLM3-6B calls tools.

The system turn ends with the tools. A call is a turn whose first line is the tool's name, and whose
text is a line of Python in a fence; the result comes in a turn of role `observation`:

    <|assistant|>get_current_weather
    ```python
    tool_call(location="beijing", unit="celsius")
    ```<|observation|>
     {"temperature": 7}

Source: https://github.com/THUDM/ChatGLM3/blob/main/PROMPT_en.md.
"""

from function_calling.formats.arguments import KEYWORD_ARGUMENTS
from function_calling.formats.format import Format

_START = r"(?P<name>\L<names>)[ \t]*\r?\n\s*```(?:python)?\s*tool_call\("

CHATGLM3 = Format(
    name="chatglm3",
    template_marks=("[gMASK]sop",),
    tools_prompt=(
        "Answer the following questions as best as you can. You have access to the following "
        "tools:\n{tools}"
    ),
    tool_text="function",
    tools_listed=True,
    tools_indent=4,
    before_arguments="\n```python\ntool_call(",
    arguments=KEYWORD_ARGUMENTS,
    call_close=")\n```",
    call_starts=(rf"<\|assistant\|>\s*{_START}", rf"(?m:(?<=^[ \t]*)){_START}"),
    result_role="observation",
    calls_apart=True,
    special_tokens=("<|assistant|>", "<|observation|>"),
)
