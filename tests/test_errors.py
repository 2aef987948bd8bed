"""An error says who reads it, and leaves in OpenAI's shape."""

import pytest

from function_calling import errors
from function_calling.errors import ApiError, EngineError, FunctionCallingError, RequestError, shown


def test_every_error_has_one_root() -> None:
    """Whoever wants all errors of the project catches one class."""
    own = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each.__module__ == errors.__name__
    ]
    assert len(own) == 7
    assert all(issubclass(each, FunctionCallingError) for each in own)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing names every class."""
    drawn = errors.__doc__ or ""
    for each in (*FunctionCallingError.__subclasses__(), *ApiError.__subclasses__()):
        assert f"── {each.__name__} " in drawn


def test_a_request_error_has_openais_shape() -> None:
    """Message, type, param and code are always there."""
    error = RequestError("n=2: not supported.", param="n", code="unsupported_parameter")
    assert (str(error), error.status) == ("n=2: not supported.", 400)
    assert error.body() == {
        "error": {
            "message": "n=2: not supported.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "unsupported_parameter",
        }
    }


def test_an_engine_error_is_the_servers_fault() -> None:
    """Its type tells clients that the same request may be good later."""
    assert EngineError("It broke.").status == 500
    assert EngineError("It broke.").body() == {
        "error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}
    }


def test_a_status_of_its_own_stays_with_the_one_error() -> None:
    """Setting a status on one error leaves the class alone."""
    assert RequestError("Too large.", status=413).status == 413
    assert RequestError.status == 400


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("two", '"two"'),
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
