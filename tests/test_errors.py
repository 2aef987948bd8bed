"""An error says who reads it, and leaves in OpenAI's shape."""

import pytest

from function_calling import errors
from function_calling.errors import ApiError, EngineError, FunctionCallingError, RequestError, shown


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


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            RequestError("n=2: not supported.", param="n", code="unsupported_parameter"),
            400,
            {"type": "invalid_request_error", "param": "n", "code": "unsupported_parameter"},
        ),
        (RequestError("Too large.", status=413), 413, {"type": "invalid_request_error"}),
        (EngineError("It broke."), 500, {"type": "server_error"}),
    ],
    ids=["request", "a status of its own", "engine"],
)
def test_an_api_error_has_openais_shape(error: ApiError, status: int, body: dict[str, str]) -> None:
    """Message, type, param and code are always there; a status of its own is the one error's."""
    assert error.status == status
    assert error.body() == {
        "error": {"message": str(error), "param": None, "code": None} | body,
    }
    assert RequestError.status == 400


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
