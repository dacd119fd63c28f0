"""Full-text search in Chinese and English, with nothing that a managed Postgres may lack.

Latin text gives its words; Chinese, Japanese and Korean text gives overlapping pairs of
characters and the last character alone, so that every query of one, two or more characters is
found by a prefix or by its pairs. Text and query go through the same tokeniser; the vectors are
plain lexemes under no configuration (knowledge: embedded Postgres).
"""

import re
import unicodedata
from typing import Final

MAX_TOKEN_CHARS: Final = 64
MAX_QUERY_TOKENS: Final = 32

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKENS: Final = re.compile(rf"([{_CJK}]+)|((?:(?![{_CJK}])\w)+)")


def vector(*texts: str | None) -> str:
    """A tsvector in its text form."""
    lexemes: set[str] = set()
    for text in texts:
        if text:
            for cjk, word in _TOKENS.findall(_normal(text)):
                if cjk:
                    lexemes.update(_pairs(cjk))
                    lexemes.add(cjk[-1])
                else:
                    lexemes.add(word[:MAX_TOKEN_CHARS])
    # Word characters only, which need no quotes in a tsvector.
    return " ".join(lexemes)


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


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _quote(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
