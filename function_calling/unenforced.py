"""What a caller is told of keywords that can't be enforced.

`ChatModel.unenforced` names their places ("weather: unit: not"); names in them are the caller's
own and may hold anything.
"""

import json
from collections.abc import Sequence

HEADER = "X-Unenforced-Keywords"
LONGEST = 4000
"""Characters of the header at most; clients and proxies refuse headers of much over 8 KiB."""


def unenforced_header(places: Sequence[str]) -> dict[str, str]:
    """The header that names the places, with a comma between them; none where there is none.

    It is plain ASCII: whatever else a place holds, and a comma, is written as `\\u002c`.
    """
    if not places:
        return {}
    text = ", ".join(_ascii(place) for place in places)
    return {HEADER: text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."}


def _ascii(place: str) -> str:
    quoted = json.dumps(place)[1:-1]
    return quoted.replace(",", "\\u002c").replace("\x7f", "\\u007f")
