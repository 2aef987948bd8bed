"""The loop as the settings want it: which tools, which model, within which bounds."""

from collections.abc import Callable, Mapping
from functools import partial

from openai import AsyncOpenAI

from function_calling.agent import Agent
from function_calling.errors import RequestError
from function_calling.llama_client import first_model
from function_calling.settings import Settings
from function_calling.tool_sets import ToolSet, load_tool_sets
from function_calling.toolbox import Approve, Toolbox


class Assistant:
    """Makes agents that share their tools and the client of one model server.

    Attributes:
        client: Knows the model's server.
        model: The model's name there; "" until it was asked for.
        tools: The chosen tool sets as one.
        toolbox: The tools by name.

    Args:
        settings: What an operator chose.
        client: Knows the model's server.
        tool_sets: Our own tool sets by name, made only when they are chosen.

    Raises:
        SettingsError: A tool set can't be had.
    """

    def __init__(
        self,
        settings: Settings,
        client: AsyncOpenAI,
        tool_sets: Mapping[str, Callable[[Settings], ToolSet]],
    ) -> None:
        self.client = client
        self.model = settings.llama_model
        known = {name: partial(make, settings) for name, make in tool_sets.items()}
        self.tools = load_tool_sets(settings.tools, known)
        self.toolbox = Toolbox(
            self.tools.functions,
            byte_limit=settings.tool_result_bytes,
            approval=settings.approval,
        )
        self.settings = settings

    async def agent(self, approve: Approve | None = None) -> Agent:
        """The loop, with the chosen tools and bounds.

        Args:
            approve: Asks a person before a tool runs that needs a yes.

        Raises:
            EngineError: The model's name is not set, and its server can't be asked for it.
        """
        self.model = self.model or await first_model(self.client)
        return Agent(
            self.client,
            self.model,
            self.toolbox,
            self.tools.system_prompt,
            max_rounds=self.settings.max_rounds,
            tool_timeout=self.settings.tool_timeout,
            query_timeout=self.settings.query_timeout,
            max_tokens=self.settings.max_reply_tokens,
            steering=self.tools.steering,
            approve=approve,
        )

    def check(self, query: str) -> None:
        """See that `query` can be asked.

        Raises:
            RequestError: It is empty or too long.
        """
        if not query.strip():
            raise RequestError("query is empty; wanted a question.", param="query")
        most = self.settings.max_query_length
        if len(query) > most:
            raise RequestError(
                f"query has {len(query)} characters; wanted {most} at most.", param="query"
            )

    def close(self) -> None:
        """Free what the tools hold."""
        self.tools.close()
