"""A worker that can't start ends its server, which would else start it again for ever.

BentoML's supervisor knows no other end than a signal's, with status 0. So it learns a second one,
from its hook for what is done once before workers start.
"""

import atexit
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from function_calling.errors import FunctionCallingError

_SUPERVISOR = "FUNCTION_CALLING_SUPERVISOR"


def heed_failures() -> None:
    """In the supervisor: end all, with status 1, when a worker can't start."""
    os.environ[_SUPERVISOR] = str(os.getpid())
    signal.signal(signal.SIGUSR1, _end)


def _end(*_: object) -> None:
    # What BentoML does at a SIGTERM is right, but for the status.
    atexit.register(os._exit, 1)
    signal.raise_signal(signal.SIGTERM)


@contextmanager
def starting(service: str) -> Iterator[None]:
    """In a worker: an error ends the whole server, with one line where it was foreseen."""
    try:
        yield
    except Exception as error:
        if os.environ.get(_SUPERVISOR) != str(os.getppid()):
            raise
        if not isinstance(error, FunctionCallingError):
            traceback.print_exc()
        print(f"{service} can't start: {error}", file=sys.stderr, flush=True)
        os.kill(os.getppid(), signal.SIGUSR1)
        os._exit(1)
