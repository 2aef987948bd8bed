"""Write docs/licences.md: what each package that is installed to serve is licensed under.

.venv/bin/python deploy/licences.py
"""

import re
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from pip_requirements_parser import RequirementsFile  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
HEAD = "|---|---|\n"
"""Behind it the table begins."""
_UNTOLD = {"CurrencyConverter": "Apache-2.0"}
"""Packages whose metadata say nothing, by the licence file in them."""


def table() -> str:
    """A row for each package of the embedded profile and of MCP, by name.

    Raises:
        LookupError: The metadata of a package tell no licence.
    """
    file = RequirementsFile.from_file(str(ROOT / "requirements-mcp.txt"), include_nested=True)
    names = sorted((each.name for each in file.requirements), key=str.lower)
    return "".join(f"| {name} | {licence(name)} |\n" for name in names)


def licence(name: str) -> str:
    """What a package's metadata call its licence: the expression, the field or the classifier."""
    told: Any = metadata(name)  # a message of email's, whose methods the type leaves out
    classifiers = told.get_all("Classifier") or ()
    classified = [each.split(" :: ")[-1] for each in classifiers if each.startswith("License ::")]
    field = told.get("License") or ""
    named = field if re.fullmatch(r"[\w .-]{2,40}", field) else " or ".join(classified)
    found = told.get("License-Expression") or named or _UNTOLD.get(name)
    if not found:
        raise LookupError(f"{name}: its metadata tell no licence; look into its licence file.")
    return found


if __name__ == "__main__":
    said, _ = PAGE.read_text(encoding="utf-8").split(HEAD)
    PAGE.write_text(said + HEAD + table(), encoding="utf-8")
