"""What requests of every protocol have in common: JSON, checked, and how to generate.

Names and ranges are OpenAI's, with vLLM's `repetition_penalty`, `top_k` and `min_p`. What is
unknown, or need not change a reply, is ignored and told in a header; what is known and not
supported is refused by name, because a client that sends it counts on it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import from_json

from function_calling.api.messages import plain_json
from function_calling.errors import RequestError, shown, wrong
from function_calling.model.words import ContentFormat, Sampling

MOST_REPLIES = 16
"""Replies to one request (`n`) at most."""
MOST_BIASES = 300
"""Tokens in a `logit_bias` at most."""

UNENFORCED = "X-Unenforced-Keywords"
"""Keywords of JSON Schema to which no value is held, each by its place: "weather: unit: not"."""
IGNORED = "X-Ignored-Parameters"
"""Parameters of the request that have no effect."""
IGNORED_TOOLS = "X-Ignored-Tools"
"""Tools that are left out because only another server has them: "web_search"."""
LONGEST_HEADER = 4000
"""Characters of a header at most; clients and proxies refuse headers of much over 8 KiB."""

NO_THINKING = {"enable_thinking": False}
"""Variables with which a chat template turns thinking off, if it knows how to."""

_SAMPLING = (
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty"),
    *("top_k", "min_p"),
)
"""Parameters that have `Sampling`'s names."""

TEXTS = BeforeValidator(lambda told: [told] if isinstance(told, str) else told)
"""Reads one text as a list of texts."""

# Engines read ids as 32 bits, of which one is the sign: a larger one would be another's.
_TokenId = Annotated[int, Field(ge=0, lt=2**31)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]
# Below 0 it means all tokens, as 0 does.
_TopK = Annotated[int, Field(ge=-1, lt=2**31), AfterValidator(lambda most: max(most, 0))]
# At 0 the likeliest token is left, as with any share that is small enough.
_TopP = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda share: max(share, 1e-6))]
_Bias = Annotated[float, Field(ge=-100, le=100)]


class ApiRequest(BaseModel):
    """The parameters of every request that generates, checked."""

    model_config = ConfigDict(extra="allow")

    unsupported: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """What each parameter that isn't supported may be, because it then asks for nothing."""
    parts: ClassVar[Mapping[str, str]] = {"stream_options": "include_usage"}
    """Parameters that are objects, each with the one key in it that has an effect."""

    stream: bool | None = None
    stream_options: dict[str, bool | None] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: _TopP | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    top_k: _TopK | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_REPLIES)] | None = None
    seed: int | None = None
    stop: Annotated[Annotated[list[str], Field(max_length=4)] | None, TEXTS] = None
    logit_bias: Annotated[dict[_TokenId, _Bias], Field(max_length=MOST_BIASES)] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The request in a body of JSON.

        Raises:
            RequestError: Names the parameter, its value and what was wanted.
        """
        values = _json(body)
        if not isinstance(values, dict):
            raise RequestError(f"The body is {shown(values)}; wanted a JSON object.")
        for name, harmless in cls.unsupported.items():
            if values.get(name) is not None and values[name] not in harmless:
                raise RequestError(
                    f"{name}={shown(values[name])}: this parameter is not supported.",
                    param=name,
                    code="unsupported_parameter",
                )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _invalid(error) from error

    @property
    def ignored(self) -> list[str]:
        """The parameters that had no effect, and what had none within one."""
        told = dict(self.model_extra or {})
        for param, kept in self.parts.items():
            inner = getattr(self, param) or {}
            told |= {f"{param}.{key}": inner[key] for key in inner if key != kept}
        harmless = {"model", *self.unsupported}
        return [name for name, value in told.items() if value is not None and name not in harmless]

    @property
    def ignored_tools(self) -> list[str]:
        """The tools that are left out."""
        return []

    @property
    def headers(self) -> dict[str, str]:
        """The headers that name the parameters and the tools that had no effect."""
        return listing(IGNORED, self.ignored) | listing(IGNORED_TOOLS, self.ignored_tools)

    def samplings(self) -> list[Sampling]:
        """How each of `n` replies is generated: alike, but each with the next seed.

        OpenAI's defaults hold where nothing is said.
        """
        said = {name: getattr(self, name) for name in _SAMPLING}
        first = Sampling(
            max_tokens=self.max_tokens,
            **{name: value for name, value in said.items() if value is not None},
            stop=tuple(filter(None, self.stop or ())),
            logit_bias=tuple((self.logit_bias or {}).items()),
            kept=self.prompt_cache_retention == "24h",
        )
        return [
            first.but(seed=None if self.seed is None else self.seed + index)
            for index in range(self.n or 1)
        ]


def _json(body: bytes) -> Any:
    """What the body holds; half a surrogate pair, as of an emoji that was cut, is replaced."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        with suppress(ValueError):
            return from_json(plain_json(body.decode("utf-8-sig")), allow_inf_nan=False)
        raise RequestError(f"The body is not JSON: {error}.") from error


def _invalid(error: ValidationError) -> RequestError:
    """Pydantic's complaint about the first wrong parameter, in a sentence."""
    errors = error.errors(include_url=False)
    param = str(errors[0]["loc"][0])
    # Of several kinds that a value may be, the last is the one that holds most.
    told = [each for each in errors if each["loc"][0] == param][-1]
    if told["type"] == "missing":
        return RequestError(f"{param} is missing.", param=param)
    place = param + "".join(f"[{step}]" for step in told["loc"][1:] if isinstance(step, int))
    complaint = "wanted an object" if told["type"] == "dict_type" else told["msg"]
    return RequestError(f"{place}={shown(told['input'])}: {complaint}.", param=param)


def content_format(told: Any, param: str) -> ContentFormat | None:
    """What a text must be (https://platform.openai.com/docs/guides/structured-outputs).

    Beside "json_object" may stand a schema, with which other servers say what the object is; TGI,
    and Hugging Face's client for it, call it "value". That of "json_schema" stands in an object of
    its own, or beside the type; either is read everywhere.

    Args:
        told: The format that is asked for.
        param: The parameter in which it came.

    Raises:
        RequestError: It is of no known kind, or holds no schema.
    """
    match told:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            schema = told.get("schema") or told.get("value") or {}
            if isinstance(schema, dict) and schema.get("type", "object") == "object":
                return ContentFormat({**schema, "type": "object"}, param=param)
        case {"type": "json_schema"}:
            match told.get("json_schema", told):
                case {"schema": dict() as schema, **rest} if isinstance(
                    strict := rest.get("strict", False), bool | None
                ):
                    return ContentFormat(schema, bool(strict), param)
    wanted = 'type "text", "json_object" or "json_schema"; a "schema" is an object'
    raise wrong(param, told, f'{wanted}, "strict" true or false')


def listing(header: str, names: Iterable[str]) -> dict[str, str]:
    """The header that lists names, which are the caller's own; none where there is none.

    It is plain ASCII: whatever else a name holds, and a comma, is written as `\\u002c`.
    """
    quoted = (json.dumps(name)[1:-1] for name in names)
    text = ", ".join(q.replace(",", "\\u002c").replace("\x7f", "\\u007f") for q in quoted)
    if len(text) > LONGEST_HEADER:
        text = text[: LONGEST_HEADER - 3] + "..."
    return {header: text} if text else {}
