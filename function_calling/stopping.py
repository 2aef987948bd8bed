"""How a query ends that could not go on to the model's answer: what is told, and what is raised.

Time that is over, a reply without end and a conversation that has grown too long for the model are
nobody's fault: the answer says so. A model's server that fails is an error. Either tells what was
done until then, which a person must know before asking again.
"""

from function_calling.completion import TOO_LONG
from function_calling.conversation import Conversation
from function_calling.errors import ApiError, RequestError
from function_calling.outcomes import last_failures


def stopped(talk: Conversation, told: str, error: TimeoutError | ApiError, seconds: float) -> str:
    """The answer of a query that `error` has ended.

    Args:
        talk: What was done until then.
        told: What the person has read of the answer.
        error: Why it ended.
        seconds: What a query may take.

    Raises:
        EngineError: The model's server failed.
        RequestError: It refused the query itself.
    """
    found = talk.untold(told)
    told_last = [*last_failures(talk.outcomes), *([f"Until then: {found}"] if found else [])]
    done = "".join(f" {each}" for each in told_last)
    if isinstance(error, TimeoutError):
        return f"I had to stop after {seconds:g} seconds, before I was done.{done}"
    if error.code == TOO_LONG or (talk.rounds and isinstance(error, RequestError)):
        return f"I had to stop before I was done: {error.message}{done}"
    error.message += done
    raise error
