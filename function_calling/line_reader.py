"""Lines of a stream of bytes, such as server-sent events."""


class LineReader:
    """Puts lines together from pieces; a line ends with LF, and a CR before that is none of it.

    HTTP clients that split text as `str.splitlines` does also end lines at U+2028, U+2029 and
    U+0085, which JSON may hold as they are.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """The lines that are complete with this piece.

        Raises:
            ValueError: One is no UTF-8.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [line.removesuffix(b"\r").decode() for line in lines]
