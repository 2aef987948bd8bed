"""The words of a text, in any script."""

import unicodedata

# Of words in scripts without spaces, the beginnings and ends may be words themselves.
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI"}


def split_words(text: str) -> list[str]:
    """The words and currency signs of `text`, without case, accents, digits and punctuation."""
    apart = unicodedata.normalize("NFKD", text.replace(".", "")).casefold()
    return unicodedata.normalize("NFC", apart.translate(_PLAIN)).split()


class _Plain(dict[int, str]):
    """What `str.translate` puts for a character; asked once for each, as the index is large."""

    def __missing__(self, point: int) -> str:
        char, kind = chr(point), unicodedata.category(chr(point))
        sign = f" {char} " if kind == "Sc" else " "
        plain = char if kind[0] in "LM" else sign
        self[point] = "" if unicodedata.combining(char) else plain
        return self[point]


_PLAIN = _Plain()


def script(word: str) -> str:
    """The script of a word's first letter, by its Unicode name: "LATIN", "CJK", "KATAKANA"."""
    return unicodedata.name(word[0], "").split(" ")[0]
