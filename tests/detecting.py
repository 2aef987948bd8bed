"""How a reply reads what a model writes: its content, and where a call begins."""

from collections.abc import Iterable, Sequence

from function_calling.formats import Format
from function_calling.formats.detection import CallDetector, CallStart


def read(form: Format, names: Sequence[str], pieces: Iterable[str]) -> tuple[str, CallStart | None]:
    """The content and the start that the pieces give, where these tools are offered."""
    detector, content = CallDetector(form, names), ""
    for piece in pieces:
        settled, start = detector.feed(piece)
        content += settled
        if start or detector.over:
            return content, start
    return content + detector.rest(), None
