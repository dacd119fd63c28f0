"""Amounts of money: whole minor units of a currency, never a float."""

import re
from typing import Final

from domain.errors import InvalidInput

MAX_MINOR: Final = 10**15
"""Largest amount; exact in JSON numbers of every reader (RFC 8259 section 6)."""

_WHOLE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS: Final = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
"""Minor-unit digits that are not 2 (ISO 4217, list one)."""
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT: Final = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?")


def digits(currency: str) -> int:
    """Decimal places of a currency."""
    return _DIGITS.get(currency, 2)


def check_currency(currency: str) -> None:
    """A code of ISO 4217 by its form.

    Raises:
        InvalidInput: it is not.
    """
    if not _CURRENCY.fullmatch(currency):
        raise InvalidInput("currency must be a code of ISO 4217, for example CNY.", "currency")


def check_minor(amount_minor: int, field: str = "amount") -> None:
    """A positive amount within the limit.

    Raises:
        InvalidInput: it is not.
    """
    if not 0 < amount_minor <= MAX_MINOR:
        raise InvalidInput(f"{field} must be above 0 and at most 10^15 minor units.", field)


def parse(amount: str, currency: str, field: str = "amount") -> int:
    """A decimal such as `12.30` in minor units, exactly.

    Raises:
        InvalidInput: no such decimal, or more places than the currency has.
    """
    minor = _parse(amount, currency, field)
    check_minor(minor, field)
    return minor


def parse_limit(amount: str, currency: str, field: str) -> int:
    """As `parse`, and 0 is one, too."""
    minor = _parse(amount, currency, field)
    if minor:
        check_minor(minor, field)
    return minor


def _parse(amount: str, currency: str, field: str) -> int:
    check_currency(currency)
    found = _AMOUNT.fullmatch(amount)
    places = digits(currency)
    if found is None or len(found[2] or "") > places:
        raise InvalidInput(
            f"{field} must be a decimal with at most {places} places for {currency},"
            ' as a string: "12.30".',
            field,
        )
    return int(found[1] + (found[2] or "").ljust(places, "0"))


def show(amount_minor: int, currency: str) -> str:
    """`12.30 CNY`."""
    return f"{decimal(amount_minor, currency)} {currency}"


def decimal(amount_minor: int, currency: str) -> str:
    """`12.30`."""
    places = digits(currency)
    if not places:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**places)
    return f"{whole}.{part:0{places}}"
