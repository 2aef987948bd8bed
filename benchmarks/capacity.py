"""How many model servers and assistants a load needs, and what they cost.

    python -m benchmarks.capacity --queries-per-second 2 --answers answers.jsonl \\
        --prompt-rate 65 --completion-rate 30 --price 0.10

The tokens of a query are what the assistant tells in its headers X-Prompt-Tokens and
X-Completion-Tokens; `make eval EVAL_ARGS="--out answers.jsonl"` writes them down. Rates and prices
are your machine's and your provider's.
"""

import argparse
import sys
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from benchmarks.command_line import records

SECONDS_AN_HOUR = 3600
HOURS_A_MONTH = 730
ASSISTANT_SECONDS = Decimal("0.035")
"""CPU time of one core that the assistant takes for a query, as docs/measured.md has it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What an average query makes the model read and write, all rounds together."""

    prompt_tokens: Decimal
    completion_tokens: Decimal


@dataclass(frozen=True, slots=True)
class Server:
    """What one model server does a second when it is fully loaded, and costs an hour."""

    prompt_rate: Decimal
    completion_rate: Decimal
    price: Decimal

    def seconds(self, query: Query) -> Decimal:
        """How long the whole server would be busy with the query."""
        reading = query.prompt_tokens / self.prompt_rate
        return reading + query.completion_tokens / self.completion_rate


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and what the model servers cost."""

    server_seconds: Decimal
    servers: int
    assistants: int
    an_hour: Decimal
    a_thousand: Decimal


def plan(rate: Decimal, query: Query, server: Server, utilisation: Decimal, spare: int) -> Plan:
    """The servers for `rate` queries a second.

    Args:
        rate: Queries a second, at the busiest time.
        utilisation: The share of a server's time that is planned for; the rest is for peaks.
        spare: Model servers more, for one that is ended or updated.
    """
    seconds = server.seconds(query)
    servers = _whole(rate * seconds / utilisation) + spare
    an_hour = servers * server.price
    return Plan(
        server_seconds=seconds,
        servers=servers,
        # Two at least: one may be ended or updated.
        assistants=max(2, _whole(rate * ASSISTANT_SECONDS / utilisation)),
        an_hour=an_hour,
        a_thousand=an_hour * 1000 / (rate * SECONDS_AN_HOUR),
    )


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_CEILING))


def told(path: Path) -> Query:
    """The average of the answers in a file that `eval_exchange.py --out` wrote.

    Raises:
        ValueError: The file has no answer with token counts, or is no such file.
    """
    prompt = completion = count = 0
    for record in records(path):
        *_, end = record["events"]
        if "usage" in end:
            prompt += end["usage"]["prompt_tokens"]
            completion += end["usage"]["completion_tokens"]
            count += 1
    if not count:
        raise ValueError(f"{path} has no answer with its tokens")
    return Query(Decimal(prompt) / count, Decimal(completion) / count)


def positive(text: str) -> Decimal:
    """A number above zero, exactly as it is written."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not (number.is_finite() and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def share(text: str) -> Decimal:
    """A number above 0 and up to 1."""
    number = positive(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 1")
    return number


def money(amount: Decimal) -> str:
    """To the cent, half a cent up."""
    return f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def report(query: Query, planned: Plan) -> list[str]:
    """The plan as lines of text."""
    tokens = f"{query.prompt_tokens:.0f} prompt and {query.completion_tokens:.0f} completion tokens"
    return [
        f"a query                  {tokens}: {planned.server_seconds:.2f} s of a model server",
        f"model servers            {planned.servers}",
        f"assistants (1 core)      {planned.assistants}",
        f"model servers, an hour   {money(planned.an_hour)}",
        f"model servers, a month   {money(planned.an_hour * HOURS_A_MONTH)}",
        f"a thousand queries       {money(planned.a_thousand)}",
    ]


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Plan model servers and assistants for a load.")
    parser.add_argument("--queries-per-second", type=positive, required=True, metavar="N")
    parser.add_argument("--answers", type=Path, help="count the tokens in this file of answers")
    parser.add_argument("--prompt-tokens", type=positive, default=Decimal(975), metavar="N")
    parser.add_argument("--completion-tokens", type=positive, default=Decimal(50), metavar="N")
    parser.add_argument("--prompt-rate", type=positive, required=True, help="tokens read a second")
    parser.add_argument(
        "--completion-rate", type=positive, required=True, help="tokens written a second"
    )
    parser.add_argument("--price", type=positive, required=True, help="of a server, an hour")
    parser.add_argument("--utilisation", type=share, default=Decimal("0.7"), metavar="SHARE")
    parser.add_argument("--spare", type=int, choices=range(10), default=0, metavar="N")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Plan and print; the exit status."""
    wanted = options(arguments)
    query = Query(wanted.prompt_tokens, wanted.completion_tokens)
    if wanted.answers:
        try:
            query = told(wanted.answers)
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"The answers can't be read: {error}", file=sys.stderr)
            return 2
    server = Server(wanted.prompt_rate, wanted.completion_rate, wanted.price)
    planned = plan(wanted.queries_per_second, query, server, wanted.utilisation, wanted.spare)
    print(*report(query, planned), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
