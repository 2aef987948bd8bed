"""Every error has one reader, and its text names the thing, the value and what was wanted.

FunctionCallingError
├── SettingsError    the operator reads it, at start: an environment variable is wrong
├── WeightsError     the operator reads it, at start: no model file could be had
├── ToolError        the model reads it, as the result of its tool call
└── ApiError         the caller reads it, in OpenAI's error shape
    ├── RequestError     4xx: the request can't be served as it is
    └── EngineError      5xx: the request was fine, the engine was not
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class FunctionCallingError(Exception):
    """Root of every error that this project raises on purpose."""


class SettingsError(FunctionCallingError):
    """A setting has a value that can't be used."""


class WeightsError(FunctionCallingError):
    """A model file can't be found, downloaded or trusted."""


class ToolError(FunctionCallingError):
    """A tool call can't be carried out.

    The model reads the problem and the advice; a person who has to be told reads the problem.

    Args:
        problem: What is wrong.
        advice: What the model should do instead; no person reads it.
        broke: Whether the tool failed while it ran, and may have changed something.
    """

    def __init__(self, problem: str, *, advice: str = "", broke: bool = False) -> None:
        super().__init__(f"{problem} {advice}".rstrip())
        self.problem = str(problem)
        self.broke = broke


class ApiError(FunctionCallingError):
    """An error that leaves through HTTP.

    The fields are those of OpenAI's error object
    (https://platform.openai.com/docs/guides/error-codes).
    """

    status = 500
    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after
        if status is not None:
            self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """The response's: how to say who asks, or in how many seconds to try again."""
        told = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        return told if self.retry_after is None else told | {"retry-after": str(self.retry_after)}

    def body(self) -> dict[str, Any]:
        """The JSON body that OpenAI's clients understand."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class RequestError(ApiError):
    """The request can't be served as it is (4xx)."""

    status = 400
    type = "invalid_request_error"


class EngineError(ApiError):
    """The engine failed or is not there (5xx)."""


SCHEMA_REFUSED = "invalid_function_parameters"
"""The code of an error that a JSON Schema can't be enforced."""


def schema_refused(reason: str) -> RequestError:
    """The error that a JSON Schema can't be enforced; `naming` tells whose it is."""
    told = f"The JSON Schema can't be enforced: {reason.removesuffix('.')}."
    return RequestError(told, param="tools", code=SCHEMA_REFUSED)


@contextmanager
def naming(thing: str, param: str) -> Iterator[None]:
    """Have an error name the thing that it is about, and the parameter."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{thing}: {error.message}", param=param, code=error.code) from error


def wrong(place: str, value: Any, wanted: str) -> RequestError:
    """The error that the value at `place` ("messages[0].role") isn't what was wanted."""
    message = f"{place}={shown(value)}: wanted {wanted}."
    return RequestError(message, param=place.partition("[")[0])


def one_line(text: str) -> str:
    """A text with a client's names in it, in which all that can't be printed is escaped.

    So no name ends a line of the log, or hides a part of it.
    """
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def shown(value: Any) -> str:
    """A value as an error's text shows it: as JSON, cut to 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"
