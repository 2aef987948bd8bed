"""Does what a model writes come from the conversation? Its arguments and its answers are checked.

- An argument that is marked as `Said` must occur: the person wrote it, or a tool returned it.
- Each number in an answer must be one that the conversation holds, or a fraction of it rounded.
- What each tool found must be told, as far as numbers go: each number of its `summary`, as often
  as summaries have it; but for what it lists, and for a step, which a later call has used whose
  own result is told.

Numbers are compared by value, whatever their separators. Number words count where a person wrote
them; in answers they are not checked. Of text only marked arguments are compared. A money answer
that a model retyped wrongly is worse than no answer.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import MAX_PREC, ROUND_HALF_UP, Context, Decimal, localcontext
from itertools import chain, takewhile
from typing import Any, NamedTuple

from function_calling.agent.numbers import UNSPACED, Number, numbers, said
from function_calling.errors import ToolError
from function_calling.toolbox.json_text import json_text
from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import ToolResult

ASK_AGAIN = (
    "That answer is not right. {} Answer my question again. Write each number exactly as a tool "
    "returned it, and call a tool for each number that is missing."
)
SAME_AGAIN = "This call was made before with the same arguments; here is its result again: "
WITHOUT_IT = "Answer without it, and say what could not be done."

# The marker of a numbered list, heading or row, plain or in Markdown.
_MARKER = re.compile(r"^[^\w\n]*\d{1,2} ?[.)|][*_]*\s", re.MULTILINE)

# The beginning of a tool call that a model wrote as its answer, and tags of calls and results.
_CALL = re.compile(
    r'\s*(?:```\w*\s*)?(?:<tool_call>|\[?\s*\{\s*"name"\s*:\s*(?:"[^"]*"?\s*)?'
    r'(?:,\s*"(?:arguments|parameters)"|\W*$))'
)
_TAG = re.compile(r"</?tool_(?:call|response)>")
_LONGEST_GAP = 40  # characters between a tool's name and its arguments

# A sentence that the model alone was told gives an answer away by its beginning, unless it is so
# short that it may come from anywhere.
_QUOTED, _LEAST_QUOTED = 40, 12  # characters
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\{\}")

# A number that a program wrote into JSON as text: its point is a point. And year and month of a
# day in ISO 8601, which an answer may write as a word or leave out.
_EXACT = re.compile(r"\d+(\.\d+)?")
_MONTH = re.compile(r"\b\d{4}-\d{2}-(?=(\d{2})(?!\d))")

# What goes on with a word: anything, but for scripts without spaces, where nobody can tell.
_LETTER = rf"(?!{UNSPACED.pattern})\w"

_MOST_OFFERED = 12
_LONGEST_OFFERED = 100  # characters
_MOST_RATES = 100
_MOST_PAIRED = 100
_SMALL = frozenset(map(Decimal, range(101)))
_EXACTLY = Context(prec=MAX_PREC)
_PER_CENT = re.compile("[%٪％﹪]")
_LONGEST_RATE = 40  # characters
_MOST_PLACES = 6
_FEW_DIGITS = [Context(prec=digits, rounding=ROUND_HALF_UP, traps=[]) for digits in (2, 3)]
_NUMBERED = re.compile(r"\b(?=\S*\d)\S+\b")


class Ground:
    """What has been said and returned in a conversation, and what came of its calls.

    Args:
        messages: OpenAI's messages so far; the last one is the question.
        deriving: The tools that compute a number.
        parameters: Each tool that may be called, with the names of its parameters.

    Attributes:
        results: What the calls of this question came to, in order, each call once.
        untraced: For each tool that was not called because a value does not occur, which another
            tool may return or which must not be assumed, what people are told of it.
        blocked: The tools that need a value which another tool must return first.
        computable: Whether a number is wanted that occurs nowhere, and may have to be computed.
        unstated: Whether a call needs a number, and nobody has stated any.
    """

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        deriving: Sequence[str] = (),
        parameters: Iterable[tuple[str, Iterable[str]]] = (),
    ) -> None:
        self._deriving = deriving
        self._calls = [_written_call(*each) for each in parameters]
        self.results: list[ToolResult] = []
        self.untraced: dict[str, str] = {}
        self.blocked: set[str] = set()
        self.computable = False
        self.unstated = False
        self._asked = _values(str(messages[-1]["content"]))
        written = [each["content"] for each in messages if each["role"] == "user"]
        answers = (each for each in messages if each["role"] == "assistant")
        told = [each["content"] or "" for each in answers if not each.get("tool_calls")]
        returned = [each["content"] for each in messages if each["role"] == "tool"]
        self._spoken = "\n".join(written)
        self._texts = [_plain(each) for each in written]
        # What anybody wrote or a tool returned; beside that, what may be computed with, or told.
        self._known = _with_hundredths(said(self._spoken)) | _values("\n".join(told))
        self._factors = _factors(self._spoken) | _values(self._spoken, units=True)
        self._tellable = _rounded(self._known, roughly=True)
        self._listed: list[_Leaf] = []  # what results consist of
        self._choice = frozenset[Decimal]()  # the numbers in lists
        self._tallies = {1}  # how many members there are in lists, and how many of them are alike
        for content in returned:
            self._take_in(content)
        self._read = len(self._listed)  # of what is listed, as the model wrote its last calls
        # The arguments of each call, as the model wrote them, and their values.
        self._arguments: list[str] = []
        self._given: list[frozenset[Decimal]] = []
        self._doubted: set[tuple[str, str, str]] = set()
        self._private = [ASK_AGAIN, SAME_AGAIN, WITHOUT_IT]  # texts that only the model reads

    def recall(self, message: Mapping[str, Any], arguments: str, *, derived: bool) -> ToolResult:
        """Take in what a call came to in an earlier request of the same turn.

        Of a message that doesn't say whether it succeeded, JSON did, as a failure is words.
        """
        content = message["content"].removeprefix(SAME_AGAIN)
        value = _parsed(content)
        summary = value.get("summary") if isinstance(value, dict) else None
        told = summary if isinstance(summary, str) else None
        result = ToolResult(content, message.get("ok", value is not content), told, derived=derived)
        if result.ok:
            self.add(result, arguments)
        return result

    def add(self, result: ToolResult, arguments: str) -> None:
        """Take in what a call came to, and the arguments that the model gave it."""
        self.results.append(result)
        self._arguments.append(arguments)
        self._given.append(_values_of(_leaves(arguments)))
        if result.ok:
            self._tellable |= self._given[-1]
            self.blocked.clear()
            self.computable = False
            self._take_in(result.content)

    def _take_in(self, content: str) -> None:
        leaves = _leaves(content)
        self._listed += leaves
        self._texts += (leaf.value for leaf in leaves if isinstance(leaf.value, str))
        values = _values_of(leaves)
        self._known |= _rounded(values)
        self._tellable |= _rounded(values, roughly=True)
        self._choice |= _values_of(leaf for leaf in leaves if leaf.among)
        self._tallies.update(leaf.among or 1 for leaf in leaves)
        alike = Counter((leaf.key, leaf.value) for leaf in leaves if leaf.among)
        self._tallies.update(alike.values())

    def read(self) -> None:
        """The model reads what tools have returned so far."""
        self._read = len(self._listed)

    def lacks(self, marked: Mapping[str, tuple[Said, Any]]) -> list[tuple[str, Any]]:
        """The marked arguments that do not occur, each a name and a value."""
        return [
            (name, each)
            for name, (mark, value) in marked.items()
            for whole in (value if isinstance(value, list | tuple | set | frozenset) else [value])
            for each in (self._unknown_numbers(str(whole)) if mark.numbers else [whole])
            if mark.numbers or not self._occurs(mark, name, each)
        ]

    def _unknown_numbers(self, text: str) -> list[str]:
        """Those of an expression that do not occur; a small one alone is computed from nothing."""
        found = numbers(text)
        known = self._known | self._factors
        if any(each.within(self._known) for each in found):
            known |= _SMALL
        return [number.text for number in found if not number.within(known)]

    def trace(self, tool: str, marked: Mapping[str, tuple[Said, Any]], *, changes: bool) -> str:
        """What is assumed of a call's marked arguments; "" where all of them occur.

        A value that does not occur is assumed where the model insists on it, but for a tool that
        changes something.

        Raises:
            ToolError: A value does not occur; says which do.
        """
        lacking = self.lacks(marked)
        shown = [(name.replace("_", " "), _shown(value)) for name, value in lacking]
        doubts = {(tool, name, str(value)) for name, value in lacking}
        computes = any(marked[name][0].numbers for name, _ in lacking)
        assumable = not (changes or computes)
        if not lacking or (assumable and doubts <= self._doubted):
            self.untraced.pop(tool, None)
            return " ".join(f"I took {value} as the {name}." for name, value in shown)
        self._doubted |= doubts
        listed = any(marked[name][0].by == "tool" for name, _ in lacking)
        numeric = not listed and any(_is_numeric(value) for _, value in lacking)
        computable = bool(numeric and self._known and self._deriving)
        self.computable |= computable
        self.unstated |= numeric and not self._known
        source = "No list shows {}." if listed else "{} is not in your message."
        problem = " ".join(
            f"Which {name} do you mean? {source.format(value)}" for name, value in shown
        )
        if changes or computable:
            self.untraced[tool] = problem
        if listed or computes:
            self.blocked.add(tool)
        told = ", ".join(f"{name}={_shown(value)}" for name, value in lacking)
        told += ", but no tool has returned it yet" if listed else ", which the user did not write"
        advice = f"{tool} was not called: {told}. {self._offered(lacking, listed=listed)}."
        if computable:
            advice += f" If it is to be computed from that, call {' or '.join(self._deriving)}."
        if assumable and not self.unstated:
            advice += " If none of that is meant, make the same call again."
        raise ToolError(problem, advice=advice)

    def problems(self, answer: str) -> list[str]:
        """What is wrong with an answer, as sentences for the model; empty where it is grounded."""
        problems = self.invented(answer)
        problems += [
            f"The answer leaves out {number.text} of this tool result: {summary}"
            for at, missing in self._missing(answer).items()
            if (summary := self.results[at].summary)
            for number in missing
        ]
        self._private += problems
        return list(dict.fromkeys(problems))

    def invented(self, answer: str) -> list[str]:
        """The numbers in `answer` that nobody stated, as sentences for the model.

        An answer that is a tool call written out is none, nor is one that repeats what was told to
        the model alone.
        """
        if _CALL.match(answer) or any(each.search(answer) for each in self._calls):
            return ["The answer is a tool call, which the user can't read: write a sentence."]
        if _TAG.search(answer) or any(each in answer for each in self._for_the_model()):
            return ["The answer repeats what I told you: say what the tools returned."]
        # "1 dollar is 3.14 euros" states nothing of its own with the 1, nor "you have 3 tasks".
        counted = max(1, len(self.results), len(_MARKER.findall(answer)))
        counts = {*range(1, counted + 1), *self._tallies}
        known = self._known.union(self._tellable, map(Decimal, counts))
        known |= {each.scaleb(2) for each in _factors(answer) & known}  # 0.15 as 15%
        missing = "which neither a tool result nor the question contains"
        if not self.results:
            missing = "which the question does not contain, and no tool was called"
        return [
            f"The answer says {number.text}, {missing}."
            for number in numbers(answer)
            if not number.within(known)
        ]

    def _for_the_model(self) -> set[str]:
        """How the sentences begin that the model was told and no person reads."""
        private = [*self._private, *(each.content for each in self.results if not each.ok)]
        people = "\n".join([self._spoken, *(each.told for each in self.results)])
        begun = {
            sentence.strip()[:_QUOTED] for text in private for sentence in _SENTENCE_END.split(text)
        }
        return {each for each in begun if len(each) >= _LEAST_QUOTED and each not in people}

    def untold(self, answer: str) -> list[str]:
        """What tools have found and `answer` does not tell, in their own sentences."""
        missing = self._missing(answer)
        return [finding for finding, at in self.findings().items() if at in missing]

    def findings(self) -> dict[str, int]:
        """What the calls that succeeded have found, for people, and the place of the first result.

        A result without a sentence of its own counts only where none has one, or where it was
        computed and no later call has used it.
        """
        succeeded = [(at, each) for at, each in enumerate(self.results) if each.ok]
        sentences = any(each.summary for _, each in succeeded)
        found: dict[str, int] = {}
        for at, each in succeeded:
            if each.summary or not (each.derived or sentences):
                found.setdefault(each.told, at)
            elif each.derived and not any(self._users(at)):
                found.setdefault(_equation(self._arguments[at], each.content), at)
        return found

    def failures(self) -> list[str]:
        """What the last calls did not do, or may have done, for people.

        A number that was not computed is nothing that they asked for.
        """
        asked = [each for each in self.results if not each.derived]
        last = takewhile(lambda each: not each.ok, reversed(asked))
        return list(dict.fromkeys(each.told for each in reversed(list(last))))

    def assumptions(self) -> list[str]:
        """What was assumed of the arguments of calls, for people."""
        return list(dict.fromkeys(each.assumed for each in self.results if each.assumed))

    def _missing(self, answer: str) -> dict[int, list[Number]]:
        """The results that `answer` does not tell, by place, with each number that is missing.

        A number that several sentences have must be told as often. A result is told, too, where
        that of a later call is, which has used it.
        """
        left = Counter(chain(*(each.values for each in numbers(answer))))
        left.update((said(answer) | _factors(answer)) - left.keys())  # "seven", and 15% for 0.15
        days = [day for each in self.results for day in map(Decimal, _MONTH.findall(each.told))]
        left.update(day for day in days if left[day])  # once for all results
        stated = frozenset(left)
        missing: dict[int, list[Number]] = {}
        seen: set[str] = set()
        for at, result in enumerate(self.results):
            if not result.ok or result.told in seen:
                continue
            seen.add(result.told)
            known = left if result.summary else Counter(stated)
            lacking = []
            for number in self._new(at):
                rounded = zip(_rounded(number.values) - number.values)
                told = (each for each in (*number.readings, *rounded) if all(map(known.get, each)))
                if reading := next(told, None):
                    known.subtract(reading)
                else:
                    lacking.append(number)
            begun = any(each.within(stated) for each in numbers(result.told))
            if lacking or not (begun or result.told in answer):
                missing[at] = lacking
        for at in reversed([*missing]):
            if any(later not in missing for later in self._users(at)):
                del missing[at]
        return missing

    def _new(self, at: int) -> list[Number]:
        """The numbers that a result adds to its call and the question.

        An answer may choose from what is listed, and say "no" or "a" for 0 and 1.
        """
        told = self._asked | self._given[at] | self._choice | {Decimal(0), Decimal(1)}
        found = numbers(_MONTH.sub("", self.results[at].told), units=True)
        return [number for number in found if not number.within(told)]

    def _users(self, at: int) -> Iterator[int]:
        """The later calls that succeeded and were given each number that a result adds."""
        new = self._new(at)
        for later in range(at + 1, len(self.results)):
            given = self._given[later]
            if new and self.results[later].ok and all(each.within(given) for each in new):
                yield later

    def _occurs(self, mark: Said, name: str, value: Any) -> bool:
        """Whether it stands in the conversation; an id must be all that a part of a result is."""
        number = _number(value)
        wanted = _plain(str(value)) if number is None else number
        if mark.by == "tool":
            return wanted in [leaf.value for leaf in self._named(name)]
        if number in self._known or _is_numeric(value):
            return number in self._known
        return any(map(_whole_words(_plain(str(value))).search, self._texts))

    def _named(self, name: str) -> list["_Leaf"]:
        """What the model has read of results under this key, or where none has it, anywhere."""
        read = self._listed[: self._read]
        return [leaf for leaf in read if leaf.key == name] or read

    def _written_numbers(self) -> Iterator[str]:
        """The numbers that the person wrote, in digits or words; any word may be a small one."""
        digits = numbers(self._spoken)
        yield from (
            each.text if each.meaning == each.text else f"{each.text} ({each.meaning})"
            for each in digits
        )
        known = _SMALL.union(*(number.values for number in digits))
        yield from map(_shown, sorted(said(self._spoken) - known, reverse=True))

    def _offered(self, lacking: Sequence[tuple[str, Any]], *, listed: bool) -> str:
        """What could be meant, as the beginning of a sentence for the model."""
        found: Iterable[str]
        if listed:
            (name, _), *_ = lacking
            named = (leaf for leaf in self._named(name) if leaf.key == name)
            found = (json_text(leaf.inside)[:_LONGEST_OFFERED] for leaf in named)
            told, none = "Tools returned", "Call the tool that lists it first"
        elif all(_is_numeric(value) for _, value in lacking):
            found = self._written_numbers()
            told = "The user wrote"
            none = "The user wrote no digits: ask which is meant; if words state it, call again"
        else:
            found = _NUMBERED.findall(self._spoken)
            told, none = "The user wrote", "Use what the user wrote, and do not guess"
        offered = ", ".join(list(dict.fromkeys(filter(None, found)))[:_MOST_OFFERED])
        return f"{told}: {offered}" if offered else none


def _written_call(tool: str, parameters: Iterable[str]) -> re.Pattern[str]:
    """Finds a call written out in whatever format: the name, and an argument behind a bracket.

    A tool's name that is a key of JSON begins none.
    """
    names = "|".join(map(re.escape, parameters)) or "(?!)"
    return re.compile(
        rf"(?<!\w){re.escape(tool)}(?!\w|[\"']\s*:)"
        rf"(?:(?:\.\w+)?\((?:[\"'\d)]|(?:{names})\b)"
        rf"|[^.!?]{{0,{_LONGEST_GAP}}}[{{<]\W*(?:(?:\w+=)?(?:{names})\b|\}}))"
    )


def _equation(arguments: str, result: str) -> str:
    """A result that was computed, behind what it was computed from: 30 + 40 = 70."""
    named = _parsed(arguments)
    texts = named.values() if isinstance(named, dict) else ()
    return f"{', '.join(str(each) for each in texts)} = {result}.".lstrip(" =")


def _shown(value: Any) -> str:
    return f"{value.normalize(_EXACTLY):f}" if isinstance(value, Decimal) else str(value)


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value: Any) -> Decimal | None:
    """An argument as a number, without its sign; a truth value is none, nor is most text."""
    if isinstance(value, float):
        return Decimal(repr(float(value))).copy_abs()
    if _is_numeric(value) or (isinstance(value, str) and _EXACT.fullmatch(value)):
        return Decimal(value).copy_abs()
    return None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _whole_words(text: str) -> re.Pattern[str]:
    """Finds a text, spaced in any way, of whole words, as far as its script shows words."""
    before = "" if UNSPACED.match(text) else rf"(?<!{_LETTER})"
    behind = "" if UNSPACED.match(text[-1:]) else rf"(?!{_LETTER})"
    return re.compile(before + " ?".join(map(re.escape, text.replace(" ", ""))) + behind)


def _values(text: str, *, units: bool = False) -> frozenset[Decimal]:
    return frozenset[Decimal]().union(*(each.values for each in numbers(text, units=units)))


def _rounded(values: Iterable[Decimal], *, roughly: bool = False) -> frozenset[Decimal]:
    """The values, and rounded to hundredths or closer; `roughly` to ones, and few of 7 digits."""
    least = 0 if roughly else 2
    rounded = {
        each.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACTLY)
        for each in values
        for places in range(least, min(-int(each.as_tuple().exponent), least + _MOST_PLACES))
    }
    if roughly:
        rounded |= {few.plus(each) for each in values if each >= 10**6 for few in _FEW_DIGITS}
    return frozenset(values).union(rounded - {0})


def _with_hundredths(values: frozenset[Decimal]) -> frozenset[Decimal]:
    """The values, and what two of them make as units and hundredths: "37 euros and five cents"."""
    if len(values) > _MOST_PAIRED:
        return values
    with localcontext(_EXACTLY):
        units = [Decimal(0), *(each for each in values if not each % 1)]
        cents = [each.scaleb(-2) for each in values if each < 100 and not each % 1]
        return values.union(unit + part for unit in units for part in cents)


def _factors(text: str) -> frozenset[Decimal]:
    """By what percentages in a text multiply: 19 % is 0.19, and makes a whole 1.19 or 0.81."""
    factors: set[Decimal] = set()
    for before in _PER_CENT.split(text, _MOST_RATES)[:-1]:
        found = numbers(before[-_LONGEST_RATE:])
        if found and before.rstrip().endswith(found[-1].text):
            shares = [value.scaleb(-2) for value in found[-1].values]
            factors.update(*((each, 1 + each, 1 - each) for each in shares))
    return frozenset(factors)


class _Leaf(NamedTuple):
    """A number or text in a result.

    Attributes:
        key: The key under which it stands.
        inside: The object in which it stands.
        among: How long the list is in which it stands; 0 where it stands in none.
    """

    value: Decimal | str
    key: str = ""
    inside: Any = None
    among: int = 0


def _parsed(content: str) -> Any:
    """A result as JSON, whose numbers are exact: "1.234" there is never 1234."""
    try:
        return json.loads(content, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return content


def _leaves(content: str) -> list[_Leaf]:
    """What a result or arguments consist of, in order; what nests too deep is one text."""
    value = _parsed(content)
    try:
        json_text(value)  # as it is offered
        return list(_parts(value, _Leaf("")))
    except RecursionError:
        return [_Leaf(_plain(content))]


def _parts(value: Any, place: _Leaf) -> Iterator[_Leaf]:
    if isinstance(value, bool):
        yield place._replace(value=str(value))
    elif isinstance(value, str):
        yield place._replace(value=Decimal(value) if _EXACT.fullmatch(value) else _plain(value))
    elif isinstance(value, Decimal):
        yield place._replace(value=value.copy_abs())
    elif isinstance(value, list):
        for each in value or [Decimal(0)]:
            yield from _parts(each, place._replace(among=len(value)))
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _parts(key, place)
            yield from _parts(each, place._replace(key=key, inside=value))


def _values_of(leaves: Iterable[_Leaf]) -> frozenset[Decimal]:
    """Their values, also inside of texts."""
    found = (leaf.value for leaf in leaves)
    return frozenset[Decimal]().union(
        *(_values(each, units=True) if isinstance(each, str) else {each} for each in found)
    )
