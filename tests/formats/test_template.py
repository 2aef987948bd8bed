"""A model's own chat template is carried out as `transformers` would, and can do no harm."""

import re
from datetime import datetime

import pytest

from function_calling.errors import RequestError
from function_calling.formats.template import ChatTemplate

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "geld", "description": "Größe <b> & 'mehr'"}}


def test_a_template_writes_the_messages_and_ends_where_the_assistant_begins() -> None:
    """Messages, the special tokens and `add_generation_prompt` are what it is given."""
    template = ChatTemplate(
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
        "<s>",
        "</s>",
    )
    assert template.render(HELLO) == "<s>user: Hello</s>assistant: "


def test_blocks_leave_neither_their_line_break_nor_their_indentation() -> None:
    """`trim_blocks` and `lstrip_blocks` are on, so a template may be laid out."""
    template = ChatTemplate(
        "{% for m in messages %}\n    {% if m.content %}\nx\n{% endif %}{% endfor %}"
    )
    assert template.render(HELLO) == "x\n"


def test_a_loop_may_be_left() -> None:
    """`break` and `continue` are there."""
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% break %}{% endfor %}")
    assert template.render(HELLO * 3) == "Hello"


@pytest.mark.parametrize(
    ("call", "written"),
    [
        pytest.param("tojson", '"description": "Größe <b> & \'mehr\'"', id="unicode, no HTML"),
        pytest.param("tojson(indent=4)", '\n    "type": "function"', id="indented"),
        pytest.param("tojson(ensure_ascii=False)", "Größe", id="asked for unicode"),
        pytest.param("tojson(ensure_ascii=True)", r"Gr\u00f6\u00dfe", id="asked for ASCII"),
        pytest.param("tojson(separators=(',', ':'))", '{"type":"function"', id="dense"),
        pytest.param("tojson(sort_keys=True)", '{"function": {"description"', id="sorted"),
    ],
)
def test_tojson_writes_what_models_were_trained_on(call: str, written: str) -> None:
    """The filter takes all the options of `transformers`, and escapes no HTML."""
    template = ChatTemplate("{{ tools[0] | " + call + " }}")
    assert written in template.render(HELLO, [TOOL])


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_are_none_to_the_template(tools: list[dict[str, object]] | None) -> None:
    """Templates ask `tools is not none` as often as `tools`, so an empty list would mislead."""
    template = ChatTemplate("{{ 'tools' if tools is not none else 'none' }}")
    assert template.render(HELLO, tools) == "none"


def test_a_template_may_write_the_date() -> None:
    """`strftime_now` is there."""
    year = ChatTemplate("{{ strftime_now('%Y') }}").render(HELLO)
    assert re.fullmatch(r"\d{4}", year)
    assert abs(int(year) - datetime.now().year) <= 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param("{{ raise_exception('No systems') }}", "No systems", id="its own refusal"),
        pytest.param("{{ messages[0].content + 1 }}", "str", id="a wrong type"),
        pytest.param("{{ messages[0].nothing.at_all }}", "nothing", id="a missing field"),
        pytest.param("{{ messages | items | list }}", "mapping", id="a filter on the wrong thing"),
        pytest.param("{{ messages.append(1) }}", "append", id="changing what it was given"),
        pytest.param("{{ messages.__class__.__mro__ }}", "__class__", id="reaching for Python"),
    ],
)
def test_a_template_that_cannot_write_the_messages_is_the_requests_error(
    source: str, told: str
) -> None:
    """The caller is told what the template said; the sandbox refuses the same way."""
    with pytest.raises(RequestError, match=re.escape(told)) as caught:
        ChatTemplate(source).render(HELLO)
    assert caught.value.param == "messages"
