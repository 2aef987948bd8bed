"""The requirements files: exact, complete, and one truth."""

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pip_requirements_parser import InstallRequirement, RequirementsFile

from deploy.licences import HEAD, PAGE, table

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "service.py",
    "packing.py",
    "openai_endpoints.py",
    "tools.py",
    "function_calling/**/*.py",
)
FILES = (
    *("requirements.txt", "requirements-cpu.txt", "requirements-mcp.txt", "requirements-dev.txt"),
    "requirements-checks.txt",
)
GPU_PACKAGES = {"lmdeploy", "xgrammar", "torch"}
"""What the code uses on a GPU alone."""


def read(file: str) -> list[InstallRequirement]:
    """The requirements in a file, and in those that it names."""
    return RequirementsFile.from_file(str(ROOT / file), include_nested=True).requirements


def pins(file: str) -> dict[str, str]:
    """Each package's version."""
    return {canonicalize_name(each.name): each.get_pinned_version for each in read(file)}


def test_every_requirement_is_an_exact_pin() -> None:
    """Once each, so that every machine gets the same set."""
    for file in FILES:
        requirements = read(file)
        assert all(each.is_pinned for each in requirements)
        assert len(pins(file)) == len(requirements)


def test_a_bentos_packages_are_those_that_are_tested() -> None:
    """BentoML copies the lines of one file, so it repeats the others, and adds LMDeploy."""
    assert pins("requirements-mcp.txt").items() < pins("requirements.txt").items()
    assert pins("requirements.txt").keys() >= GPU_PACKAGES
    assert not GPU_PACKAGES & pins("requirements-dev.txt").keys()


def test_lmdeploy_is_tested_with_the_versions_that_are_served() -> None:
    """But for PyTorch, which is the one without CUDA there."""
    tested, served = pins("requirements-lmdeploy.txt"), pins("requirements.txt")
    tests_own = pins("requirements-dev.txt")
    for name, version in tested.items():
        assert name == "torch" or version in (served.get(name), tests_own.get(name)), name
    assert tested["torch"].endswith("+cpu")


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES[:3])
def test_a_set_resolves_to_itself(file: str) -> None:
    """The package index finds all of it for the image's Python, and nothing that is missing.

    Only the packages' metadata is fetched.
    """
    platform = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    asked = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-config"]
    done = subprocess.run(
        [sys.executable, "-m", "uv", *asked, *platform, file],
        cwd=ROOT,
        env={"UV_NATIVE_TLS": "1", **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split("==") for line in done.stdout.split())
    assert {canonicalize_name(name): version for name, version in found.items()} == pins(file)


def test_what_the_packages_need_is_pinned_too() -> None:
    """Nothing is left for the index of the day to choose."""
    for file in FILES[1:4]:
        known = pins(file)
        for name in known:
            for needed in map(Requirement, requires(name) or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    assert canonicalize_name(needed.name) in known, f"{name} needs {needed.name}"


def test_every_import_is_pinned_as_what_the_code_uses() -> None:
    """In the first part of its file, where its reason stands; pip alone is run, not imported."""
    firsts = [
        (ROOT / file).read_text().split("# What those need in turn.")[0] for file in FILES[1:3]
    ]
    direct = {
        canonicalize_name(name)
        for name in re.findall(r"^([\w.-]+)==", "".join(firsts), re.MULTILINE)
    }
    owners = packages_distributions()
    files = chain.from_iterable(ROOT.glob(pattern) for pattern in SOURCES)
    imported = set(chain.from_iterable(map(imports, files)))
    owners["opentelemetry"] = ["opentelemetry-api"]  # several packages share the name
    used = {canonicalize_name(owners[name][0]) for name in imported if name in owners}
    assert used - GPU_PACKAGES | {"pip"} == direct
    assert GPU_PACKAGES - {"torch"} <= imported  # LMDeploy imports that


def imports(path: Path) -> set[str]:
    """The top-level modules that a file imports, Python's own and its neighbours left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    own = {path.stem for path in ROOT.glob("*.py")} | {"function_calling"}
    return found - own - set(sys.stdlib_module_names)


def test_each_package_has_its_licence() -> None:
    """As its metadata tell it; `deploy/licences.py` writes the page anew."""
    assert PAGE.read_text(encoding="utf-8").split(HEAD)[1] == table()
