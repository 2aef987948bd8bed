"""Headers that tell a caller what a reply doesn't keep to.

The names in them are the caller's own and may hold anything.
"""

import json
from collections.abc import Iterable

UNENFORCED = "X-Unenforced-Keywords"
"""Keywords of JSON Schema to which no value is held, each by its place: "weather: unit: not"."""
IGNORED = "X-Ignored-Parameters"
"""Parameters of the request that have no effect."""
IGNORED_TOOLS = "X-Ignored-Tools"
"""Tools that are left out because only another server has them: "web_search"."""
LONGEST = 4000
"""Characters of a header at most; clients and proxies refuse headers of much over 8 KiB."""


def listing(header: str, names: Iterable[str]) -> dict[str, str]:
    """The header that lists the names, with a comma between them; none where there is none.

    It is plain ASCII: whatever else a name holds, and a comma, is written as `\\u002c`.
    """
    text = ", ".join(map(_ascii, names))
    if not text:
        return {}
    return {header: text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."}


def _ascii(name: str) -> str:
    quoted = json.dumps(name)[1:-1]
    return quoted.replace(",", "\\u002c").replace("\x7f", "\\u007f")
