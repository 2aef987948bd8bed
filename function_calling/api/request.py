"""OpenAI's requests, for chat and for text: a body of JSON, checked, and how to generate.

https://platform.openai.com/docs/api-reference/chat/create, and `completions/create` beside it, with
the older `functions`, vLLM's `chat_template_kwargs`, `repetition_penalty`, `top_k` and `min_p`, and
two fields of our own: `tool_format` and `whole_tool_calls`.

What is unknown, or need not change a reply, is ignored and told in a header; what is known and not
supported is refused by name, because a client that sends it counts on it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from function_calling.api.headers import IGNORED, IGNORED_TOOLS, listing
from function_calling.api.messages import conversation, plain_json
from function_calling.api.tools import flat, function_choice, offered, placed, tool_choice
from function_calling.errors import RequestError, shown, wrong
from function_calling.model.words import ContentFormat, Sampling, Tool, ToolChoice

MOST_REPLIES = 16
"""Replies to one request (`n`) at most."""
MOST_BIASES = 300
"""Tokens in a `logit_bias` at most."""
MOST_MESSAGES = 4096
"""Messages of a request at most."""
MOST_TOKENS = 16
"""Tokens of a text completion where the request sets no `max_tokens`: OpenAI's default."""

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
# At 0 the likeliest token is left, as with any share that is small enough.
_TopP = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda share: max(share, 1e-6))]
_Bias = Annotated[float, Field(ge=-100, le=100)]


class ApiRequest(BaseModel):
    """The parameters of every request that generates, checked; names and ranges are OpenAI's."""

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
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
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

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of its usage."""
        return bool((self.stream_options or {}).get("include_usage"))

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
            kept=self.prompt_cache_retention == "24h",
        )
        return [
            first.but(seed=None if self.seed is None else self.seed + index)
            for index in range(self.n or 1)
        ]


class ChatRequest(ApiRequest):
    """A request for a chat completion.

    Attributes:
        tool_format: The format in which the model is to call tools; None means its own.
        whole_tool_calls: Whether calls leave a stream whole, in its last delta, and no delta
            lacks what older clients read in each.
        chat_template_kwargs: More variables for the model's chat template.
    """

    unsupported: ClassVar = {"modalities": (["text"],), "moderation": ()}

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_MESSAGES)]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tool_format: str | None = None
    whole_tool_calls: bool | None = None

    @property
    def ignored(self) -> list[str]:
        """See `ApiRequest.ignored`; a model that read its own name would begin its replies so."""
        named = (it.get("name") for it in self.messages if it.get("role") == "assistant")
        effort = () if self.reasoning_effort in (None, "none") else ("reasoning_effort",)
        return [*super().ignored, *effort, *(("messages.name",) if any(named) else ())]

    @property
    def legacy(self) -> bool:
        """Whether it offers functions, as clients did before there were tools."""
        return bool(self.functions)

    @property
    def whole_calls(self) -> bool:
        """Whether calls are streamed as older clients read them.

        Unless it is said, the spelling of the tools tells: who sends ToolBench's reads them so.
        """
        if self.whole_tool_calls is None:
            return flat(self.tools or [])
        return self.whole_tool_calls

    def prompt(self) -> dict[str, Any]:
        """What `ChatModel.turn` makes a prompt of, by the names that it has there.

        Raises:
            RequestError: Names the place, its value and what was wanted.
        """
        tools, told = self.offered_tools(), self.response_format
        no_effort = {"enable_thinking": False} if self.reasoning_effort == "none" else {}
        return {
            "messages": conversation(self.messages),
            "tools": tools,
            "choice": self._choice(tools),
            "content": None if told is None else content_format(told, "response_format"),
            "tool_format": self.tool_format,
            "template_options": no_effort | (self.chat_template_kwargs or {}),
        }

    def samplings(self) -> list[Sampling]:
        """How each of the replies is to be generated."""
        if self.top_logprobs and not self.logprobs:
            raise wrong("top_logprobs", self.top_logprobs, "logprobs=true with it")
        logprobs = (self.top_logprobs or 0) if self.logprobs else None
        return self.alike(self.max_completion_tokens or self.max_tokens, logprobs)

    def offered_tools(self) -> list[Tool]:
        """The tools that the model is told of, in whichever parameter they came."""
        for new, old in (
            ("tools", "functions"),
            ("tool_choice", "functions"),
            ("tools", "function_call"),
        ):
            if getattr(self, new) and getattr(self, old):
                raise RequestError(
                    f"{new} and {old}: wanted one of them. {old} is the older way; with tools go "
                    "tool_choice and tool_calls, with functions function_call.",
                    param=old,
                )
        param = "functions" if self.legacy else "tools"
        return offered(placed(self.functions or self.tools or [], param), param)

    def _choice(self, tools: Sequence[Tool]) -> ToolChoice:
        """Which calls the reply may or must make."""
        if self.function_call is not None or self.legacy:
            return function_choice(self.function_call, tools)
        return tool_choice(self.tool_choice, self.parallel_tool_calls is not False, tools)


class CompletionRequest(ApiRequest):
    """A request for a text completion: a prompt as it is, without messages and tools."""

    unsupported: ClassVar = {
        "best_of": (1,),
        "echo": (False,),
        "suffix": ("",),
    }

    prompt: str | Annotated[list[str], Field(min_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None

    def generations(self) -> list[tuple[str, Sampling]]:
        """Each completion's prompt and how it is generated: those of a prompt stand together.

        Raises:
            RequestError: There are too many.
        """
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        samplings = self.alike(self.max_tokens or MOST_TOKENS, self.logprobs)
        count = len(prompts) * len(samplings)
        if count > MOST_REPLIES:
            raise RequestError(
                f"prompt holds {len(prompts)} prompts, which makes {count} completions; wanted "
                f"{MOST_REPLIES} at most.",
                param="prompt",
            )
        return [(prompt, sampling) for prompt in prompts for sampling in samplings]


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


def content_format(told: Mapping[str, Any], param: str) -> ContentFormat | None:
    """What a text must be (https://platform.openai.com/docs/guides/structured-outputs).

    Beside "json_object" may stand a schema, with which other servers say what the object is. That
    of "json_schema" stands in an object of its own, or, in a response's `text.format`, beside the
    type; either is read in both.

    Args:
        told: The format that is asked for.
        param: The parameter in which it came.

    Raises:
        RequestError: It is of no known kind, or holds no schema.
    """
    match told:
        case {"type": "text"}:
            return None
        case {"type": "json_object"}:
            schema = told.get("schema") or {}
            if isinstance(schema, dict) and schema.get("type", "object") == "object":
                return ContentFormat({**schema, "type": "object"}, param=param)
            wanted = '"schema" to be a JSON Schema of an object'
        case {"type": "json_schema"}:
            wanted = '"schema": {…} beside the type'
            if param == "response_format":
                wanted = '"json_schema": {"name": …, "schema": {…}}'
            match told.get("json_schema", told):
                case {"schema": dict(), "strict": strict} if not isinstance(strict, bool | None):
                    wanted = "strict to be true or false"
                case {"schema": dict() as schema, **options}:
                    return ContentFormat(schema, bool(options.get("strict")), param)
        case _:
            wanted = 'type "text", "json_object" or "json_schema"'
    raise wrong(param, told, wanted)
