"""What the benchmarks' command lines have in common."""

import argparse


def positive(text: str) -> int:
    """A whole number from one."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
