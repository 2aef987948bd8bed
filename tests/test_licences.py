"""docs/licences.md names every package that is installed to serve."""

from deploy.licences import HEAD, PAGE, table


def test_each_package_has_its_licence() -> None:
    """As its metadata tell it; `deploy/licences.py` writes the page anew."""
    assert PAGE.read_text(encoding="utf-8").split(HEAD)[1] == table()
