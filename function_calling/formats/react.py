"""ReAct and ToolBench: calls for models that were never tuned for any, by prompt alone.

The system turn ends with the tools and the scheme. The model thinks, acts and stops; the result is
written behind the `Observation:` of the same turn, where the model goes on:

    Thought: I need the weather.
    Action: get_weather
    Action Input: {"city": "Oslo"}
    Observation: 7 degrees
    Thought: I now know the final answer.
    Final Answer: It is 7 degrees in Oslo.

ToolBench's results come in a user's turn, and its answer is a call of `Finish`. Sources: ReAct
(https://arxiv.org/abs/2210.03629), ToolBench (https://arxiv.org/abs/2307.16789), and their prompts
as ms-swift has them (https://github.com/modelscope/ms-swift).
"""

from dataclasses import replace

from function_calling.formats.format import Format
from function_calling.model.words import Tool

REACT_EN = Format(
    name="react_en",
    template_marks=(),
    tools_prompt=(
        "Answer the following questions as best you can. You have access to the following tools:"
        "\n\n{tools}\n\n"
        "Use the following format:\n\n"
        "Thought: you should always think about what to do\n"
        "Action: the action to take, should be one of [{names}]\n"
        "Action Input: the input to the action, as a JSON object\n"
        "Observation: the result of the action\n"
        "... (this Thought/Action/Action Input/Observation can be repeated zero or more times)\n"
        "Final Answer: the final answer to the original input question\n\n"
        "Begin!"
    ),
    tool_text="function",
    call_open="Action: ",
    before_arguments="\nAction Input:",
    call_close="\n",
    call_separator="",
    calls_end="Observation:",
    call_starts=(
        r"(?m:(?<=^[ \t]*))(?i:action)[ \t]*:[ \t]*(?P<name>\L<names>)[ \t]*\r?\n"
        r"\s*(?i:action input)[ \t]*:",
    ),
    steps=True,
    result="Observation: {content}\n",
    result_role="assistant",
    calls_apart=True,
)

REACT_ZH = replace(
    REACT_EN,
    name="react_zh",
    tools_prompt=(
        "尽你所能回答以下问题。你拥有如下工具:\n\n{tools}\n\n"
        "以下格式回答:\n\n"
        "Thought: 思考你应该做什么\n"
        "Action: 工具的名称,必须是[{names}]之一\n"
        "Action Input: 工具的输入, 为JSON对象\n"
        "Observation: 工具返回的结果\n"
        "... (Thought/Action/Action Input/Observation的过程可以重复零次或多次)\n"
        "Final Answer: 对输入问题的最终答案\n\n"
        "开始!"
    ),
)

FINISH = Tool(
    "Finish",
    "Give the final answer with return_type give_answer, or give up with give_up_and_restart. "
    "Always call this at the end; the user sees nothing but final_answer.",
    {
        "type": "object",
        "properties": {
            "return_type": {"type": "string", "enum": ["give_answer", "give_up_and_restart"]},
            "final_answer": {"type": "string", "description": "What the user is told."},
        },
        "required": ["return_type"],
    },
)

TOOLBENCH = replace(
    REACT_EN,
    name="toolbench",
    tools_prompt=(
        "You can use many tools (functions) to do the following task.\n"
        "First you get the task description, and your task starts.\n"
        "At each step, give your thought on the status now and on what to do next, with a function "
        "call to actually execute your step. Your output should follow this format:\n"
        "Thought:\nAction:\nAction Input:\n\n"
        "After the call, you will get the call result, and you are now in a new state.\n"
        "Then analyze your status now and decide what to do next.\n"
        "After many (Thought-call) pairs, you finally perform the task and give your final answer."
        "\nRemember:\n"
        "1. The state change is irreversible: you can't go back to one of the former states.\n"
        "2. All the thoughts are short, at most 5 sentences.\n"
        '3. ALWAYS call the "Finish" function at the end of the task. The final answer should '
        "contain enough information to show to the user. If you can't handle the task, use "
        "Finish with give_up_and_restart.\n"
        "Specifically, you have access to the following APIs: {tools}"
    ),
    tools_listed=True,
    result="{content}",
    result_role="user",
    answer_tool=FINISH,
)
