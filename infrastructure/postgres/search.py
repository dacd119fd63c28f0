"""Full-text search in Chinese and English, with nothing that a managed Postgres may lack.

Latin text gives its words; Chinese, Japanese and Korean text gives overlapping pairs of
characters and the last character alone, so that every query of one, two or more characters is
found by a prefix or by its pairs. Text and query go through the same tokeniser; the vectors are
plain lexemes under no configuration (knowledge: embedded Postgres).
"""

import re
import unicodedata
from collections.abc import Iterator
from operator import add
from struct import Struct
from typing import Final

MAX_TOKEN_CHARS: Final = 64
MAX_QUERY_TOKENS: Final = 32
MAX_VECTOR_BYTES: Final = 2**20 - 1
"""Of all lexemes together; Postgres' `MAXSTRPOS`."""

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKENS: Final = re.compile(rf"([{_CJK}]+)|([^\W{_CJK}]+)")
_ASCII_WORDS: Final = re.compile(rf"(\w{{1,{MAX_TOKEN_CHARS}}})\w*", re.ASCII)
_count: Final = Struct("!I").pack


class VectorTooLong(ValueError):
    """The text has more lexemes than a tsvector can hold."""


def vector(*texts: str | None) -> str:
    """A tsvector in its text form."""
    # Word characters only, which need no quotes in a tsvector.
    return " ".join(_lexemes(*texts))


def binary_vector(*texts: str | None) -> bytes:
    """A tsvector as COPY takes it in binary, which spares Postgres the parsing.

    The number of lexemes, then each with its NUL and a count of zero positions. Postgres sorts
    them, quicker than we could.

    Raises:
        VectorTooLong: Postgres would refuse it, and call that an internal error.

    Source: tsvectorrecv in Postgres' src/backend/utils/adt/tsvector.c.
    """
    lexemes = _lexemes(*texts)
    if not lexemes:
        return _count(0)
    packed = ("\0\0\0".join(lexemes) + "\0\0\0").encode()
    size = len(packed) - 3 * len(lexemes)
    if size > MAX_VECTOR_BYTES:
        raise VectorTooLong(f"{size} bytes of lexemes are more than {MAX_VECTOR_BYTES}")
    return _count(len(lexemes)) + packed


def query(text: str) -> str | None:
    """A tsquery in its text form, all tokens required; None: the text has no token.

    A last Latin word may be the beginning of one, as somebody who is typing expects.
    """
    terms: list[str] = []
    found = _TOKENS.findall(_normal(text))
    for number, (cjk, word) in enumerate(found):
        if cjk and len(cjk) == 1:
            terms.append(_quote(cjk) + ":*")
        elif cjk:
            terms += map(_quote, _pairs(cjk))
        else:
            last = number == len(found) - 1
            terms.append(_quote(word[:MAX_TOKEN_CHARS]) + (":*" if last else ""))
    return " & ".join(terms[:MAX_QUERY_TOKENS]) or None


def _lexemes(*texts: str | None) -> set[str]:
    lexemes: set[str] = set()
    for text in texts:
        if not text:
            continue
        if text.isascii():  # Nothing to normalise and no pairs, which is most of English.
            lexemes.update(_ASCII_WORDS.findall(text.lower()))
            continue
        for cjk, word in _TOKENS.findall(_normal(text)):
            if cjk:
                lexemes.update(_pairs(cjk))
                lexemes.add(cjk[-1])
            else:
                lexemes.add(word[:MAX_TOKEN_CHARS])
    return lexemes


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _pairs(run: str) -> Iterator[str]:
    return map(add, run, run[1:])


def _quote(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
