"""Amounts of money between minor units and decimal strings, exactly (ISO 4217)."""

from decimal import Decimal
from typing import Final

_NO_DIGITS: Final = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"),
    *("VND", "VUV", "XAF", "XOF", "XPF"),
)
_DIGITS: Final = {
    **dict.fromkeys(_NO_DIGITS, 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Digits behind the point, where they are not two: ISO 4217 list one, column «minor units»."""


def decimal_string(amount_minor: int, currency: str) -> str:
    """`1200`, `EUR` -> `12.00`; `1200`, `JPY` -> `1200`."""
    digits = _DIGITS.get(currency, 2)
    return f"{Decimal(amount_minor).scaleb(-digits):.{digits}f}"
