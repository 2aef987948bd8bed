"""Compile a grammar and try it, in a process of its own: `python compiler.py < grammar`.

Prints what is wrong with the grammar, and nothing if it can be used. What a client sends may take
the compiler long, much memory, or crash it, and none of that may reach the process that serves.

A grammar may also compile and then fail while a model writes, so texts of random bytes are written
under it for trial.
"""

import random
import resource
import sys

from llguidance import LLMatcher, LLTokenizer

MOST_SECONDS = 5
MOST_MEMORY = 2**30
TRIALS = 4
LONGEST_TRIAL = 150
# Texts that avoid these stay in strings and lists, and open what they can.
_CLOSING = frozenset(b'"]}')
# LLGuidance's word for a text that may neither end here nor go on.
_STUCK = "NoExtensionBias"


def problem(grammar: str) -> str:
    """What is wrong with the grammar; "" if nothing is."""
    tokens = LLTokenizer("byte")
    matcher = LLMatcher(tokens, grammar, log_level=0)
    chance = random.Random(0)
    for _ in range(TRIALS):
        trial = matcher.deep_copy()
        if found := _tried(trial, chance):
            return found
    return ""


def _tried(matcher: LLMatcher, chance: random.Random) -> str:
    for _ in range(LONGEST_TRIAL):
        mask = matcher.compute_bitmask()
        allowed = [byte for byte in range(256) if mask[byte // 8] >> (byte % 8) & 1]
        if not allowed or matcher.is_error():
            break
        opening = [byte for byte in allowed if byte not in _CLOSING]
        wanted = opening if opening and chance.random() < 0.8 else allowed
        matcher.consume_token(chance.choice(wanted))
    error = str(matcher.get_error())
    return "they allow no value" if error.startswith(_STUCK) else error


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    print(problem(sys.stdin.buffer.read().decode()))
