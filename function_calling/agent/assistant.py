"""What all questions share: the settings, the model's server and the tools.

The tools are those that were chosen, and guests, which come and go between questions.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from openai import APIError, AsyncOpenAI

from function_calling.agent.approvals import Approvals, CarriedOut
from function_calling.agent.loop import Agent
from function_calling.agent.model_call import first_model
from function_calling.agent.numbers import said
from function_calling.errors import ApiError
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import ToolSet, join, load_tool_sets
from function_calling.toolbox.toolbox import Approve, Toolbox

LOOK_AGAIN = 0.2
"""Seconds between looks for a model that is still loading."""
READ_AHEAD_SECONDS = 30
"""How long reading ahead may take: the assistant is not ready before."""


class Assistant:
    """Makes agents that share their tools and the client of one model server.

    Attributes:
        model: The model's name at its server; "" until it was asked for.
        tools: The chosen tool sets as one, without guests.
        toolbox: Its tools by name.

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
        self.settings = settings
        self.client = client
        self.model = settings.llama_model
        known = {name: partial(make, settings) for name, make in tool_sets.items()}
        self.tools = load_tool_sets(settings.tool_sets, known)
        self.toolbox = self._toolbox(self.tools)
        self._carried_out: CarriedOut = {}

    async def agent(
        self, approve: Approve | None = None, approvals: Mapping[str, bool] | None = None
    ) -> Agent:
        """The loop, with the chosen tools and bounds.

        Args:
            approve: Asks a person before a tool runs that needs a yes.
            approvals: What was said to open calls, by id, where a later request can say it.

        Raises:
            EngineError: The model's name is not set, and its server can't be asked for it.
        """
        model = await self.model_name()
        tools, toolbox = await self.offered()
        return Agent(
            settings=self.settings,
            client=self.client,
            model=model,
            toolbox=toolbox,
            system_prompt=tools.system_prompt,
            first_choice=tools.first_choice,
            approve=approve,
            approvals=None if approvals is None else Approvals(approvals, self._carried_out),
            guests=toolbox.descriptions.keys() - self.toolbox.descriptions.keys(),
        )

    async def read_ahead(self) -> None:
        """What `Agent.read_ahead` does, as soon as the model is there; where it can't, nothing."""
        await asyncio.to_thread(said, "1 one")  # which first reads all languages' number words
        while True:
            with suppress(ApiError):
                agent = await self.agent()
                break
            await asyncio.sleep(LOOK_AGAIN)
        with suppress(APIError, TimeoutError):
            async with asyncio.timeout(READ_AHEAD_SECONDS):
                await agent.read_ahead()

    async def first_model(self) -> str:
        """The name of the first model that the server lists; raises what `agent` raises."""
        return await first_model(self.client)

    async def model_name(self) -> str:
        """The model's name, which is asked for once; raises what `agent` raises."""
        self.model = self.model or await self.first_model()
        return self.model

    async def offered(self) -> tuple[ToolSet, Toolbox]:
        """The tools for one question: the chosen ones, and the guests that are there now."""
        if self.tools.guests is None:
            return self.tools, self.toolbox
        guests = await self.tools.guests(self.toolbox.descriptions)
        if not guests.functions:
            return self.tools, self.toolbox
        # A model that must call would call a guest for whatever is not about the others.
        free = [replace(each, first_choice="auto") for each in (*self.tools.members, guests)]
        tools = join(free)
        return tools, self._toolbox(tools)

    def close(self) -> None:
        """Free what the tools hold."""
        self.tools.close()

    def _toolbox(self, tools: ToolSet) -> Toolbox:
        return Toolbox(
            tools.functions,
            byte_limit=self.settings.tool_result_bytes,
            approval=self.settings.approval,
        )
