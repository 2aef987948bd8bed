"""OpenAI's text-completion request: a prompt as it is, without messages and tools.

https://platform.openai.com/docs/api-reference/completions/create
"""

from typing import Annotated, ClassVar

from pydantic import Field

from function_calling.api_request import ApiRequest
from function_calling.errors import RequestError
from function_calling.model.words import Sampling

MOST_TOKENS = 16
"""Tokens of a completion where the request sets no `max_tokens`: OpenAI's default."""


class CompletionRequest(ApiRequest):
    """The parameters that are supported, checked; names and ranges are OpenAI's."""

    unsupported: ClassVar = {
        "best_of": (1,),
        "echo": (False,),
        "suffix": ("",),
    }

    prompt: str | Annotated[list[str], Field(min_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None

    @property
    def text(self) -> str:
        """The text that is to go on.

        Raises:
            RequestError: There are several.
        """
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if len(prompts) > 1:
            raise RequestError(
                f"prompt holds {len(prompts)} prompts: wanted one at a time; send a request for "
                "each.",
                param="prompt",
            )
        return prompts[0]

    def samplings(self) -> list[Sampling]:
        """How each of the completions is to be generated."""
        return self.alike(self.max_tokens or MOST_TOKENS, self.logprobs)
