"""What requests to `/v1` have in common: a body of JSON, checked, and how to generate.

What is unknown, or need not change a reply, is ignored and told in a header; what is known and not
supported is refused by name, because a client that sends it counts on it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, ValidationError
from pydantic_core import from_json

from function_calling.errors import RequestError, shown
from function_calling.model.words import Sampling
from function_calling.response_headers import IGNORED, listing

MOST_REPLIES = 16
"""Replies to one request (`n`) at most."""
MOST_BIASES = 300
"""Tokens in a `logit_bias` at most."""

_SAMPLING = (
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty"),
    *("top_k", "min_p"),
)
"""Parameters that have `Sampling`'s names."""

# Engines read ids as 32 bits, of which one is the sign: a larger one would be another's.
_TokenId = Annotated[int, Field(ge=0, lt=2**31)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]
# Below 0 it means all tokens, as 0 does.
_TopK = Annotated[int, Field(ge=-1, lt=2**31), AfterValidator(lambda most: max(most, 0))]
_Bias = Annotated[float, Field(ge=-100, le=100)]


class StreamOptions(BaseModel):
    """How a stream is told."""

    include_usage: bool = False


class ApiRequest(BaseModel):
    """The parameters of every request that generates; names and ranges are OpenAI's.

    `repetition_penalty`, `top_k` and `min_p` are vLLM's.
    """

    unsupported: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """What each parameter that isn't supported may be, because it then asks for nothing."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    top_k: _TopK | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_REPLIES)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    logit_bias: Annotated[dict[_TokenId, _Bias], Field(max_length=MOST_BIASES)] | None = None
    _ignored: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The request in a body of JSON.

        Raises:
            RequestError: Names the parameter, its value and what was wanted.
        """
        try:
            # Unlike `json`, this refuses half surrogates and bottomless nesting as ValueErrors.
            values = from_json(body)
        except ValueError as error:
            raise RequestError(f"The body is not JSON: {error}.") from error
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
            request = cls.model_validate(values)
        except ValidationError as error:
            raise _invalid(error) from error
        known = {"model", *cls.model_fields, *cls.unsupported}
        request._ignored = [
            name for name, value in values.items() if value is not None and name not in known
        ]
        return request

    @property
    def headers(self) -> dict[str, str]:
        """The header that names the parameters that had no effect, if there were some."""
        return listing(IGNORED, self._ignored)

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def alike(self, max_tokens: int | None, logprobs: int | None) -> list[Sampling]:
        """How each of `n` replies is generated: alike, but each with the next seed.

        OpenAI's defaults hold where nothing is said.
        """
        said = {name: getattr(self, name) for name in _SAMPLING}
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        first = Sampling(
            max_tokens=max_tokens,
            **{name: value for name, value in said.items() if value is not None},
            stop=tuple(filter(None, stop)),
            logprobs=logprobs,
            logit_bias=tuple((self.logit_bias or {}).items()),
        )
        return [
            first.but(seed=None if self.seed is None else self.seed + index)
            for index in range(self.n or 1)
        ]


def _invalid(error: ValidationError) -> RequestError:
    """Pydantic's complaint about the first wrong parameter, in a sentence."""
    errors = error.errors(include_url=False)
    param = str(errors[0]["loc"][0])
    # Of several kinds that a value may be, the last is the one that holds most.
    told = [each for each in errors if each["loc"][0] == param][-1]
    if told["type"] == "missing":
        return RequestError(f"{param} is missing.", param=param)
    place = param + "".join(f"[{step}]" for step in told["loc"][1:] if isinstance(step, int))
    wrong = "wanted an object" if told["type"] == "dict_type" else told["msg"]
    return RequestError(f"{place}={shown(told['input'])}: {wrong}.", param=param)
