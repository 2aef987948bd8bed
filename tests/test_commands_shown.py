"""The commands that the documentation shows print what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs/function-calling.md").read_text(encoding="utf-8")
SECTION = TEXT.split("\n## Commands for formats\n")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^````?{language}\n(.*?)^````?$", SECTION, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("shown", blocks("console"), ids=lambda it: it.split()[4])
def test_a_command_prints_what_is_shown(shown: str, tmp_path: Path) -> None:
    """With the files that are shown before it."""
    for file, language in (("request.json", "json"), ("conversations.jsonl", "jsonl")):
        (tmp_path / file).write_text(blocks(language)[0], encoding="utf-8")
    for command, output in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", shown, re.MULTILINE):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={"PATH": path, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.stdout.decode() == output
