"""`docs/responses.md` says what is so: what is refused, and examples that can be read."""

import re
import tomllib

from readme import ROOT, blocks

from function_calling.api.responses import ResponsesRequest

TEXT = (ROOT / "docs/responses.md").read_text(encoding="utf-8")


def test_the_parameters_that_are_refused_or_taken_are_those_of_the_code() -> None:
    """Of the first all; each row of the table begins with fields of the request."""
    (refused,) = re.findall(r"^- (`background.*?);", TEXT, re.MULTILINE)
    assert re.findall(r"`(\w+)", refused) == sorted(ResponsesRequest.unsupported)
    table = TEXT.split("| parameter | meaning here |\n|---|---|\n")[1].split("\n\n")[0]
    told = [name for row in table.splitlines() for name in re.findall(r"`(\w+)", row.split("|")[1])]
    assert set(told) <= ResponsesRequest.model_fields.keys() | {"max_output_tokens"}


def test_the_examples_can_be_read() -> None:
    """The clients need a server to run."""
    for block in blocks("python", TEXT):
        compile(block, "responses.md", "exec")
    (config,) = map(tomllib.loads, blocks("toml", TEXT))
    assert config["model_provider"] in config["model_providers"]
