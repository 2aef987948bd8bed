"""`docs/deploy.md`: its commands work, or BentoML has them."""

import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from bentoml_cli.cli import create_bentoml_cli
from conftest import SERVERS_ENVIRONMENT
from hosts import PATH, free_port, listening
from readme import ROOT, blocks, commands

TEXT = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
MODEL_HOST, OTHER_HOST = "127.0.0.31", "127.0.0.32"


def section(title: str) -> str:
    """The text under a heading."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


SHOWN = commands("".join(blocks("console", TEXT.replace(section("Two hosts"), ""))))


@pytest.mark.serve
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[each[0][:30] for each in SHOWN])
def test_a_command_prints_what_is_shown(command: str, output: str, tmp_path: Path) -> None:
    """But for what differs from time to time, which is shown as an ellipsis."""
    (program,) = re.findall(r"^(?:\w+=\S+ )*(\S+)", command)
    if not shutil.which(program, path=PATH):
        pytest.skip(f"{program} is not installed")
    # The environment is there: the tests run in it.
    command = command.replace("make ", "make -s -o .venv/.runtime ")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=SERVERS_ENVIRONMENT | {"PATH": PATH, "BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = ".*".join(re.escape(part) for part in output.split("…"))
    assert re.fullmatch(wanted, done.stdout, re.DOTALL), done.stdout


@pytest.mark.serve
@pytest.mark.timeout(600)
def test_two_hosts_answer_as_shown(tmp_path: Path) -> None:
    """Each server on an address of its own, with the default model."""
    llama, assistant, asked = blocks("console", section("Two hosts"))
    ports = {"3001": free_port(MODEL_HOST), "3000": free_port(OTHER_HOST)}

    def here(text: str, address: str) -> str:
        text = text.removeprefix("$ ").strip()
        text = text.replace("model-host", MODEL_HOST).replace("0.0.0.0", address)
        for shown, port in ports.items():
            text = re.sub(rf"\b{shown}\b", str(port), text)
        return text.replace("127.0.0.1", OTHER_HOST)

    with ExitStack() as stack:
        for block, address, port in (
            (llama, MODEL_HOST, ports["3001"]),
            (assistant, OTHER_HOST, ports["3000"]),
        ):
            bash, home = ["bash", "-c", here(block, address)], str(tmp_path / address)
            server = listening(tmp_path, bash, address, port, BENTOML_HOME=home)
            stack.enter_context(server).wait_ready()
        command, output = asked.split("\n", 1)
        done = subprocess.run(
            ["bash", "-c", here(command, OTHER_HOST)], capture_output=True, text=True, check=True
        )
    assert done.stdout == output.rstrip("\n")


def test_bentoml_has_each_command_of_its_own() -> None:
    """With the options that are shown."""
    text = "".join(blocks("bash", TEXT) + blocks("console", TEXT)).replace("\\\n", " ")
    for shown in re.findall(r"(?m)^(?:\$ )?(?:\w+=\S+ )*bentoml (.*)", text):
        words, command = shown.split(), create_bentoml_cli()
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, shown
            command = found
        known = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("-")} <= known, shown
