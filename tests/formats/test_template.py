"""A model's own chat template is carried out as `transformers` would, and can do no harm."""

import re
from datetime import datetime

import pytest

from function_calling.errors import RequestError
from function_calling.formats.template import ChatTemplate

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "geld", "description": "Größe <b> & 'mehr'"}}


@pytest.mark.parametrize(
    ("source", "written"),
    [
        pytest.param(
            "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}"
            "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
            "<s>user: Hello</s>user: Hello</s>assistant: ",
            id="what it is given",
        ),
        pytest.param(
            "{% for m in messages %}\n    {% if m.content %}\nx\n{% endif %}{% endfor %}",
            "x\nx\n",
            id="neither a block's line break nor its indentation",
        ),
        pytest.param(
            "{% for m in messages %}{{ m.content }}{% break %}{% endfor %}",
            "Hello",
            id="a loop that is left",
        ),
        pytest.param(
            "{% generation %}{% if messages %}<{{ messages[0].content }}{% endif %}"
            "{% endgeneration %}{%- generation -%} >  {%- endgeneration -%} ",
            "<Hello>",
            id="what is marked for training",
        ),
        # Templates ask `tools is not none` as often as `tools`.
        pytest.param("{{ tools is not none }}", "False", id="no tools"),
        pytest.param("{{ strftime_now('%Y') }}", str(datetime.now().year), id="the date"),
    ],
)
def test_a_template_writes_as_in_transformers(source: str, written: str) -> None:
    """All that its documentation promises to a template is there."""
    assert ChatTemplate(source, "<s>", "</s>").render(HELLO * 2, []) == written


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("tojson", '"description": "Größe <b> & \'mehr\'"'),
        ("tojson(indent=4)", '\n    "type": "function"'),
        ("tojson(ensure_ascii=True)", r"Gr\u00f6\u00dfe"),
        ("tojson(separators=(',', ':'), sort_keys=True)", '{"function":{"description"'),
    ],
)
def test_tojson_writes_what_models_were_trained_on(call: str, written: str) -> None:
    """The filter takes all the options of `transformers`, keeps Unicode, and escapes no HTML."""
    template = ChatTemplate("{{ tools[0] | " + call + " }}")
    assert written in template.render(HELLO, [TOOL])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param("{{ raise_exception('No systems') }}", "No systems", id="its own refusal"),
        pytest.param("{{ messages[0].nothing.at_all }}", "nothing", id="a missing field"),
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
