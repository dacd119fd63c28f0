"""Rules for text that people send: lengths and characters."""

import re
import unicodedata
from typing import Final

from domain.errors import ContentEmpty, ContentInvalid, ContentTooLong, InvalidInput

MAX_CONTENT_CHARS: Final = 16_384
MAX_REF_CHARS: Final = 64
MAX_NAME_CHARS: Final = 200
MAX_LABEL_CHARS: Final = 50
MAX_LABELS: Final = 50
MAX_REASON_CHARS: Final = 1_000

# C0 except tab, newline and carriage return; DEL and C1; and lone surrogates, which no valid
# UTF-8 can carry (RFC 3629 section 3).
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


def check_content(content: str) -> None:
    """A message's content: 1 to 16,384 characters, not only white space, no control characters.

    Raises:
        ContentEmpty, ContentTooLong, ContentInvalid: what is wrong with it.
    """
    if len(content) > MAX_CONTENT_CHARS:
        raise ContentTooLong(
            f"The content has {len(content)} characters; at most {MAX_CONTENT_CHARS} are allowed.",
            "content",
        )
    if not content or content.isspace():
        raise ContentEmpty("The content is empty; send at least one visible character.", "content")
    if _FORBIDDEN.search(content):
        raise ContentInvalid("The content holds a control character; remove it.", "content")


def check_ref(ref: str) -> None:
    """A client's own id of a message: 1 to 64 characters without control characters.

    Raises:
        InvalidInput: it is not.
    """
    if not 1 <= len(ref) <= MAX_REF_CHARS or _FORBIDDEN.search(ref):
        raise InvalidInput(
            f"ref must have 1 to {MAX_REF_CHARS} characters and no control character.", "ref"
        )


def clean_line(text: str, field: str, limit: int = MAX_NAME_CHARS) -> str:
    """One line of text, stripped and in Unicode's NFC form.

    Raises:
        InvalidInput: it is empty, too long or holds a control character.
    """
    line = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(line) <= limit or _FORBIDDEN.search(line) or not line.isprintable():
        raise InvalidInput(
            f"{field} must have 1 to {limit} characters on one line, no control character.", field
        )
    return line


def clean_email(email: str) -> str:
    """An email address in lower case, checked for shape only: delivery is the only real test.

    Raises:
        InvalidInput: it has no such shape.
    """
    address = clean_line(email, "email", 254).lower()
    if not _EMAIL.fullmatch(address):
        raise InvalidInput("email must look like name@host.", "email")
    return address
