"""The commands that the documentation shows print what it shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from readme import ROOT, blocks, commands

TEXT = (ROOT / "docs/function-calling.md").read_text(encoding="utf-8")
SECTION = TEXT.split("\n## Commands for formats\n")[1].split("\n## ")[0]


@pytest.mark.slow
@pytest.mark.parametrize("shown", blocks("console", SECTION), ids=lambda it: it.split()[4])
def test_a_command_prints_what_is_shown(shown: str, tmp_path: Path) -> None:
    """With the files that are shown before it."""
    for file, language in (("request.json", "json"), ("conversations.jsonl", "jsonl")):
        (tmp_path / file).write_text(blocks(language, SECTION)[0], encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command, output in commands(shown):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={"PATH": path, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.stdout.decode() == output
