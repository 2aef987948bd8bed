"""Ask a running server's `/chat` a few questions, and print when each event of the answers came.

    python -m benchmarks.chat_times --url http://127.0.0.1:3000

Exits with 0 if each question was answered, with 1 if an answer ended with an error, and with 2 if
the questions could not be asked.
"""

import argparse
import sys
from collections.abc import Sequence

import httpx2

from benchmarks.exchange_routes import Timed, chat_events
from function_calling.agent.events import (
    ApprovalEvent,
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    TextEvent,
    ToolCallEvent,
)

TIMEOUT_SECONDS = 300
CONVERSATIONS = (
    ("What are 42 US dollars in Canadian dollars?", "And 50?"),
    ("What are 42 US dollars in Canadian dollars, in euros and in yen?",),
)
"""Each one's questions; the second behind the answer to the first."""


def told(event: ChatEvent) -> str:
    """What a person would want to see of an event."""
    match event:
        case ToolCallEvent() | ApprovalEvent():
            return f"{event.name} {event.arguments}"
        case TextEvent():
            return repr(event.text)
        case DoneEvent():
            tokens = f"{event.usage.prompt_tokens} + {event.usage.completion_tokens} tokens"
            waited = f"model {event.timings.model:.2f} s, tools {event.timings.tools:.2f} s"
            return f"{event.rounds} rounds, {tokens}, {waited}, grounding {event.grounding}"
        case ErrorEvent():
            return event.error.message
    return event.summary or event.content


def ask(client: httpx2.Client, messages: list[dict[str, str]]) -> list[Timed]:
    """One turn; each event is printed when it comes."""
    print(messages[-1]["content"])
    events = []
    for seconds, event in chat_events(client, messages):
        print(f"{seconds:8.2f} s  {event.type:<11}  {told(event)}", flush=True)
        events.append((seconds, event))
    if not events:
        raise ValueError("no event came")
    texts = [seconds for seconds, event in events if isinstance(event, TextEvent)]
    first = f"The first words came after {texts[0]:.2f} s" if texts else "No words came"
    print(f"{first}; whole, the answer would have come after {events[-1][0]:.2f} s.\n")
    return events


def run(client: httpx2.Client, conversations: Sequence[Sequence[str]]) -> bool:
    """Hold the conversations; whether every answer came to its end."""
    complete = True
    for questions in conversations:
        messages: list[dict[str, str]] = []
        for question in questions:
            messages.append({"role": "user", "content": question})
            events = [event for _, event in ask(client, messages)]
            answer = "".join(event.text for event in events if isinstance(event, TextEvent))
            messages.append({"role": "assistant", "content": answer})
            complete = complete and isinstance(events[-1], DoneEvent)
    return complete


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Ask and print; the exit status."""
    parser = argparse.ArgumentParser(description="Time the events of a running /chat.")
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="where the server listens")
    url = parser.parse_args(arguments).url
    try:
        with httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport) as client:
            return 0 if run(client, CONVERSATIONS) else 1
    except (httpx2.HTTPError, ValueError) as error:
        print(f"{url}/chat could not be asked ({type(error).__name__}: {error}).", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
