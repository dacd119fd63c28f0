"""One row of the table of settings."""

from typing import NamedTuple

Value = str | int | float | None


class Setting(NamedTuple):
    """One row of the table in docs/howto/settings.md."""

    field: str
    variable: str
    default: Value
    text: str
    most: float = 1_000_000
    """Largest value of a number; the least is more than 0."""
    zero: bool = False
    """Whether 0 is a value too."""
