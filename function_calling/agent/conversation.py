"""The messages of one question and what its tools returned, under the rules of the loop.

- A tool gets two retries. After three failing rounds in a row, or where another tool must return a
  value first, it is not offered any more, until one has found something.
- A call that succeeded is not carried out again with the same arguments, unless it reads what
  another call has changed since; nor is one that may have changed something before it failed.
- A tool that only computes a value is offered once a call or an answer lacked one: a small model
  that is offered a calculator first converts with rates that it makes up.
- A call to which a person said no is no failure; it is not made again, and no other is forced.
- Where a later request may bring the yes, that call and those behind it are left open for it.
- A call that was not made because a tool must first return a value is put off: once one has found
  something, the model does not read it any more, and is asked the question again.
- Calls of one reply run side by side, or one after the other where one of them changes something
  or has a value that another one may return; results are told in the order of the calls.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from function_calling.agent.approvals import UnansweredError
from function_calling.agent.clock import Clock
from function_calling.agent.events import Usage
from function_calling.agent.grounding import ASK_AGAIN, SAME_AGAIN, WITHOUT_IT, Ground
from function_calling.agent.messages import (
    Call,
    calls_message,
    calls_of,
    prompted,
    question_at,
    results_messages,
)
from function_calling.agent.model_call import Reply
from function_calling.agent.numbers import spelled_plainly
from function_calling.toolbox.toolbox import ToolResult

if TYPE_CHECKING:
    from function_calling.agent.loop import Agent

ALLOWED = 3
"""Failures of a tool in a row."""
GIVEN_UP = "{} has failed too often and is not called any more."


class Conversation:
    """What has been said, called and returned since a question came in.

    Attributes:
        messages: OpenAI's `messages`, as the model reads them next.
        ground: What the model's words are held against.
        settled: The answer, once a tool has given it; empty before.
        refused: A call was not made, because nobody said the yes that it needs.
        exhausted: The model insists on what it has, or on what failed or was refused.
        rounds: How often the model replied.
        usage: Tokens of all replies together.
        reply: The last reply; or the calls that the request before left open.
        resumed: These are still to be carried out.
        asking: The call that a person must be asked for first.
    """

    def __init__(self, agent: "Agent", messages: Sequence[dict[str, Any]], clock: Clock) -> None:
        self._toolbox = agent.toolbox
        self._tool_timeout = agent.settings.tool_timeout
        self._clock = clock
        self._approve = agent.approve and clock.pausing(agent.approve)
        self._approvals = agent.approvals
        self.messages = prompted(messages, agent.system_prompt)
        self._begun = len(self.messages)
        at = question_at(self.messages)
        tools = [each["function"] for each in self._toolbox.schemas]
        parameters = [(each["name"], each["parameters"].get("properties", ())) for each in tools]
        self.ground = Ground(self.messages[: at + 1], self._toolbox.deriving, parameters)
        told = spelled_plainly(self.messages[at]["content"])
        if told and self._toolbox.takes_said_numbers:
            content = f"{self.messages[at]['content']}\n({told})"
            self.messages[at] = {**self.messages[at], "content": content}
        self.settled = ""
        self.refused = False
        self.exhausted = False
        self._made_calls: set[tuple[str, str]] = set()
        self.rounds = 0
        self.usage = Usage()
        self._results: dict[tuple[str, str], ToolResult] = {}
        self._failures: Counter[str] = Counter()
        self._question = self.messages[at]
        # Messages that are left out when the question is asked again, and the tools that have
        # found what a call was put off for.
        self._put_off: list[dict[str, Any]] = []
        self._resting: set[str] = set()
        self.asking: Call | None = None
        self._resume(self.messages[at + 1 :])

    def _resume(self, messages: Sequence[dict[str, Any]]) -> None:
        """Take in what requests before have added to the turn."""
        calls: dict[str, Call] = {}
        for message in messages:
            if message["role"] == "tool":
                call = calls.pop(message["tool_call_id"])
                derived = self._toolbox.derives(call.name)
                result = self.ground.recall(message, call.arguments, derived=derived)
                if self._toolbox.changes(call.name):
                    self._results[call.key] = result
            else:
                self.ground.read()
                calls = {call.id: call for call in calls_of(message)}
        self.reply = Reply("", tuple(calls.values()), "", Usage())
        self.resumed = bool(calls)
        self._open_id = next(iter(calls), "")
        for call in calls.values():
            if self._approvals and self._approvals.said.get(call.id):
                self._results.pop(call.key, None)  # it may have failed before

    @property
    def added(self) -> list[dict[str, Any]]:
        """The calls and results that this request has added to the messages."""
        new = self.messages[self._begun :]
        return [each for each in new if each["role"] == "tool" or "tool_calls" in each]

    @property
    def found(self) -> bool:
        """Whether a tool has found something; a value that was only computed is nothing yet."""
        return any(each.ok and not each.derived and not each.final for each in self.ground.results)

    @property
    def calls(self) -> int:
        """How many calls the model made; one that it made again counts once."""
        return len(self._made_calls)

    def count(self, reply: Reply) -> None:
        """Take the model's next reply into account, whatever becomes of it."""
        self.reply = reply
        self.rounds += 1
        self._made_calls |= {call.key for call in reply.calls}
        self.usage += reply.usage

    async def carry_out(self) -> list[ToolResult]:
        """Make the last reply's calls, up to one that a person must be asked for.

        When the time is over, calls are given up, and none is begun. Returns their results, in the
        order of the calls.
        """
        calls = self.reply.calls
        fresh: dict[tuple[str, str], Call] = {}
        for call in calls:
            if call.key not in self._results and not self._given_up(call.name):
                fresh.setdefault(call.key, call)
        new = await self._made(fresh)
        calls = calls[: calls.index(self.asking)] if self.asking else calls
        # A reply counts once, so that three wrong calls side by side still leave the retries.
        failed = {key[0] for key, each in new.items() if not each.ok and not each.refused}
        self._failures.update(failed)
        # To make the same calls again and nothing else leads nowhere.
        self.exhausted |= not fresh
        results = [self._told(call, new) for call in calls]
        if answers := [each.content for each in results if each.final]:
            self._settle("\n\n".join(dict.fromkeys(answers)))
        self._write_down(calls, results)
        self.ground.read()
        return results

    def _write_down(self, calls: Sequence[Call], results: Sequence[ToolResult]) -> None:
        """Add calls and results to the messages; ask again where what was put off can be done."""
        told = list(zip(calls, results, strict=True))
        if self.resumed or self.asking:  # the client keeps these, too
            new = [] if self.resumed else [calls_message(self.reply.text, self.reply.calls)]
            self.messages += new + results_messages(told)
            self.resumed = False
            return
        undone = self.ground.untraced
        put_off = [(call, each) for call, each in told if not each.ok and call.name in undone]
        found = {call.name for call, each in told if each.ok and not each.final} - undone.keys()
        self._resting = found if undone else set()
        if self._resting:
            told = [each for each in told if each not in put_off]
            left_out = {id(each) for each in self._put_off}
            self.messages = [each for each in self.messages if id(each) not in left_out]
        written = [calls_message(self.reply.text, [it for it, _ in told]), *results_messages(told)]
        self.messages += written
        if self._resting:
            self._put_off = [dict(self._question)]
            self.messages += self._put_off
        elif len(put_off) == len(told):
            self._put_off += written

    def ask_again(self, problems: Sequence[str]) -> None:
        """Point out to the model what is wrong with its answer; a number in it may be computed."""
        self.ground.computable = True
        again = {"role": "user", "content": ASK_AGAIN.format(" ".join(problems))}
        self.messages += ({"role": "assistant", "content": self.reply.text}, again)

    def excuse(self) -> str:
        """Why there is no answer."""
        if failed := [each for each in self.ground.results if not each.ok]:
            asked = min(failed, key=lambda each: each.derived)  # what computes comes last
            return f"I can't answer that. {asked.told}"
        known = self._toolbox.descriptions.items()
        told = "; ".join(f"{name} ({does.rstrip('.')})" for name, does in known)
        return f"I can't answer that with the tools I have: {told or 'none'}."

    async def _made(self, fresh: dict[tuple[str, str], Call]) -> dict[tuple[str, str], ToolResult]:
        """The results of calls, one after the other where one may need what another one does."""
        made: dict[tuple[str, str], ToolResult] = {}

        async def make(key: tuple[str, str]) -> None:
            made[key] = await self._made_one(fresh[key])
            if made[key].summary or not made[key].final:
                self.ground.add(made[key], fresh[key].arguments)

        in_turn = any(
            self._toolbox.changes(call.name)
            or self.ground.lacks(self._toolbox.marked(call.name, call.arguments))
            for call in fresh.values()
        )
        if not in_turn:
            await asyncio.gather(*map(make, fresh))
            return made
        for key, call in fresh.items():
            try:
                await make(key)
            except UnansweredError:
                self.asking = call
                break
        return made

    async def _made_one(self, call: Call) -> ToolResult:
        if self._clock.left() <= 0:
            return ToolResult(f"{call.name} was not called: the time was over.", ok=False)
        changes = self._toolbox.changes(call.name)
        make = partial(
            self._toolbox.call,
            *(call.name, call.arguments),
            call_id=call.id,
            time_limit=min(self._tool_timeout, self._clock.left()),
            trace=lambda name, marked: self.ground.trace(name, marked, changes=changes),
            approve=partial(self._approvals.approve, call) if self._approvals else self._approve,
        )
        open_id = call.id if self.resumed else self._open_id if changes else ""
        if self._approvals and open_id:
            return await self._approvals.once(call, open_id, make)
        return await make()

    def _settle(self, answer: str) -> None:
        """End with a tool's answer; what was found, or what went wrong, is worth more."""
        if self.found:
            self.exhausted = True
        else:
            failed = any(not each.ok for each in self.ground.results)
            done = [*self.ground.findings(), self.excuse()]
            self.settled = " ".join(done) if failed else answer

    def offered(self, name: str) -> bool:
        """Whether the model may still call the tool."""
        rests = name in self._resting or name in self.ground.blocked
        idle = name in self._toolbox.deriving and not self.ground.computable
        return not (self._given_up(name) or rests or idle)

    def _given_up(self, name: str) -> bool:
        return self._failures[name] >= ALLOWED

    def _told(self, call: Call, new: dict[tuple[str, str], ToolResult]) -> ToolResult:
        """What the model reads as the result of `call`."""
        key, given_up = call.key, GIVEN_UP.format(call.name)
        if earlier := self._results.get(key):
            again = f"{SAME_AGAIN}{earlier.content}"
            return replace(earlier, content=again, summary=earlier.told)
        if key not in new:
            self.exhausted = True
            return ToolResult(f"{given_up} {WITHOUT_IT}", ok=False, summary=given_up)
        result = new[key]
        if result.ok or result.unsure or result.refused:
            changes = self._toolbox.changes
            if changes(call.name):  # then what was read is worth nothing
                self._results = {it: old for it, old in self._results.items() if changes(it[0])}
            self._results[key] = result
        self.refused |= result.refused
        if result.ok:
            self._failures.clear()
        elif self._given_up(call.name):
            result = replace(result, content=f"{result.content} {given_up} {WITHOUT_IT}")
        return result
