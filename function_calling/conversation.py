"""The messages of one query and what its tools returned, under the rules of the loop.

A query may be the last message of a longer conversation; calls and results here are its own.

- A tool gets two retries; after three failing rounds in a row it is not called any more.
- A call that succeeded is not carried out again with the same arguments, unless it reads what
  another call has changed since; nor is one that may have changed something before it failed.
- A call to which a person said no is no failure; it is not made again, and no other is forced.
- Calls of one round run side by side, or one after the other where one of them changes
  something; their results are told in the order of the calls.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from function_calling.completion import Call, Reply, added
from function_calling.function_schema import Question, Told
from function_calling.grounding import check, invented, left_out, tells
from function_calling.history import calls_message, prompted, results_messages
from function_calling.messages import Usage
from function_calling.outcomes import Made, ToolOutcome, excuse, findings
from function_calling.time_limit import TimeLimit
from function_calling.toolbox import Approve, Toolbox

FAILURES_ALLOWED = 3
ASK_AGAIN = (
    "That answer is not right. {} Answer my question again. Write each number exactly as a tool "
    "returned it, and call a tool for each number that is missing."
)
SAME_AGAIN = "This call was made before with the same arguments; here is its result again: "


class Conversation:
    """What has been said, called and returned since a query came in.

    Attributes:
        messages: OpenAI's `messages`, as the model reads them next.
        outcomes: What the tools returned, in order, each call once.
        query: What was asked, which is the last message that came in.
        settled: The answer, once a tool has given it; empty before.
        repetitions: In how many rounds the model made a call again that had its result.
        refused: A call was not made, because nobody said the yes that it needs.
        exhausted: The model insists on what failed, was refused or must not be repeated.
        calls: How many calls the model made.
        rounds: How often the model replied.
        usage: Tokens of all replies together.
        reply: The last reply.
    """

    def __init__(
        self,
        system_prompt: str,
        messages: Sequence[dict[str, Any]],
        toolbox: Toolbox,
        tool_timeout: float,
    ) -> None:
        self.messages = prompted(messages, system_prompt)
        self.outcomes: list[ToolOutcome] = []
        self.settled = ""
        self.repetitions = 0
        self.refused = False
        self.exhausted = False
        self.calls = 0
        self.rounds = 0
        self.usage = Usage()
        *earlier, last = (each["content"] for each in messages if each["role"] == "user")
        self.query: str = last
        self._question = Question.behind(earlier, last)
        self._said = " ".join(each["content"] or "" for each in messages)
        self._toolbox = toolbox
        self._tool_timeout = tool_timeout
        self._succeeded: list[Call] = []
        self._results: dict[tuple[str, str], ToolOutcome] = {}
        self._failures: Counter[str] = Counter()

    def count(self, reply: Reply) -> None:
        """Take the model's next reply into account, whatever becomes of it."""
        self.reply = reply
        self.rounds += 1
        self.calls += len(reply.calls)
        self.usage = added(self.usage, reply.usage)

    async def carry_out(
        self, reply: Reply, limit: TimeLimit, *, approve: Approve | None = None
    ) -> list[ToolOutcome]:
        """Make the reply's calls and tell their results; they come in the order of the calls.

        Args:
            reply: The model's.
            limit: When it is over, calls are given up, and none is begun.
            approve: Asks a person, whose time does not count.
        """
        self.repetitions += any(call.key in self._results for call in reply.calls)
        make = partial(self._outcome, limit=limit, approve=approve and limit.pausing(approve))
        fresh: dict[tuple[str, str], Call] = {}
        for call in reply.calls:
            if call.key not in self._results and not self._given_up(call.name):
                fresh.setdefault(call.key, call)
        if any(self._toolbox.changes(call.name) for call in fresh.values()):
            returned = [await make(call) for call in fresh.values()]
        else:
            returned = await asyncio.gather(*map(make, fresh.values()))
        new = dict(zip(fresh, returned, strict=True))
        # A round counts once, so that three wrong calls side by side still leave the retries.
        failed = {key[0] for key, each in new.items() if not each.ok and not each.refused}
        self._failures.update(failed)
        outcomes = [self._told(call, new) for call in reply.calls]
        self.messages.append(calls_message(reply.text, reply.calls))
        self.messages += results_messages(reply.calls, [outcome.content for outcome in outcomes])
        return outcomes

    def ask_again(self, answer: str, problems: Sequence[str]) -> None:
        """Point out to the model what is wrong with its answer."""
        again = {"role": "user", "content": ASK_AGAIN.format(" ".join(problems))}
        self.messages += ({"role": "assistant", "content": answer}, again)

    def problems(self, answer: str) -> list[str]:
        """What `answer` says that is not so, or leaves out; empty where it can be trusted."""
        given = " ".join(call.arguments for call in self._succeeded)
        return check(answer, self.query, self.outcomes, given)

    def invented(self, answer: str) -> list[str]:
        """The numbers in `answer` that nobody stated, as sentences for the model.

        Once a tool was called, numbers of earlier answers and results are no ground any more.
        """
        known = " ".join((*self._question.earlier, self.query)) if self.outcomes else self._said
        return invented(answer, known, self.outcomes)

    def left_out(self, answer: str) -> str:
        """What `answer` leaves out, told without the model."""
        given = " ".join(call.arguments for call in self._succeeded)
        missing = left_out(answer, self.query, self.outcomes, given)
        return " ".join(dict.fromkeys(result.summary or "" for result, _ in missing))

    def untold(self, answer: str) -> str:
        """`found`, less the results of which `answer` tells every number."""
        found = findings(self.outcomes)
        return " ".join(each for each in found if not tells(answer, each, self.query))

    def found(self) -> str:
        """What the tools returned, told without the model; empty where none returned anything."""
        return " ".join(findings(self.outcomes))

    def excuse(self) -> str:
        """Why there is no answer."""
        return excuse(self.outcomes, self._toolbox.descriptions)

    @property
    def made(self) -> list[Made]:
        """Name and arguments of each call that succeeded, in order, numbers as `Decimal`."""
        return [call.given for call in self._succeeded]

    async def _outcome(self, call: Call, limit: TimeLimit, approve: Approve | None) -> ToolOutcome:
        if limit.left() <= 0:
            return ToolOutcome(f"{call.name} was not called: the time was over.", ok=False)
        return await self._toolbox.call(
            *(call.name, call.arguments),
            time_limit=min(self._tool_timeout, limit.left()),
            context=[self._question, Told(" ".join(each.content for each in self.outcomes))],
            approve=approve,
        )

    def _given_up(self, name: str) -> bool:
        return self._failures[name] >= FAILURES_ALLOWED

    def _told(self, call: Call, new: dict[tuple[str, str], ToolOutcome]) -> ToolOutcome:
        """What the model reads as the result of `call`."""
        key = call.key
        if earlier := self._results.get(key):
            self.exhausted |= not earlier.ok
            return replace(earlier, content=f"{SAME_AGAIN}{earlier.content}")
        if key not in new:
            self.exhausted = True
            return ToolOutcome(self._refusal(call.name), ok=False)
        outcome = new[key]
        if outcome.final:
            # What was found before is worth more than a question back.
            self.exhausted = bool(self.found())
            failed = any(not earlier.ok for earlier in self.outcomes)
            answer = self.excuse() if failed else outcome.content
            self.settled = "" if self.exhausted else answer
            return outcome
        self.outcomes.append(outcome)
        if outcome.ok or outcome.unsure:
            self._remember(key, outcome)
        if outcome.ok:
            self._succeeded.append(call)
            del self._failures[call.name]
        elif outcome.refused:
            self.refused = True
            self._results[key] = outcome
        elif self._given_up(call.name):
            outcome = replace(outcome, content=f"{outcome.content} {self._refusal(call.name)}")
        return outcome

    def _remember(self, key: tuple[str, str], outcome: ToolOutcome) -> None:
        """Keep a result for the same call made again; a change makes what was read worthless."""
        changes = self._toolbox.changes
        if changes(key[0]):
            self._results = {each: old for each, old in self._results.items() if changes(each[0])}
        self._results[key] = outcome

    def _refusal(self, name: str) -> str:
        return (
            f"{name} failed {FAILURES_ALLOWED} times and is not called any more: "
            "answer without it, and say what could not be done."
        )
