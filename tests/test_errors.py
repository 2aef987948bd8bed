"""An error says who reads it, and leaves in OpenAI's shape."""

import pytest

from function_calling import errors
from function_calling.errors import EngineError, FunctionCallingError, RequestError, shown


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing names every class; whoever wants all errors of the project catches one."""
    own = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each.__module__ == errors.__name__
    ]
    assert len(own) == 7
    assert all(issubclass(each, FunctionCallingError) for each in own)
    assert all(f"── {each.__name__} " in errors.__doc__ for each in own[1:])


def test_an_api_error_has_openais_shape() -> None:
    """Message, type, param and code are always there; a status of its own is the one error's."""
    error = RequestError("Too large.", param="n", status=413)
    kind = {"type": "invalid_request_error", "param": "n", "code": None}
    assert (error.status, error.body()) == (413, {"error": {"message": "Too large.", **kind}})
    kind = {"type": "server_error", "param": None, "code": None}
    assert EngineError("It broke.").body() == {"error": {"message": "It broke.", **kind}}
    assert (RequestError.status, EngineError.status) == (400, 500)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"größe": [1, True]}, '{"größe": [1, true]}'),
        ({1}, '"{1}"'),
        ("x" * 78, f'"{"x" * 78}"'),
        ("x" * 79, '"' + "x" * 78 + "…"),
    ],
)
def test_values_are_shown_as_json_and_never_longer_than_80_characters(
    value: object, text: str
) -> None:
    """A value that is no JSON is shown as Python writes it."""
    assert shown(value) == text
    assert len(shown(value)) <= 80
