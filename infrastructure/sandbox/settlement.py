"""What changes by itself: pending payments settle, some fail late; each change has its callback."""

import secrets
import sqlite3
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from infrastructure.sandbox.ledger import CallbackMode, Ledger

_AT_ONCE: Final = 200
_PAYOUT: Final = {"succeeded": "settled", "failed": "failed", "reversed": "reversed"}
_encode: Final = msgspec.json.encode


class DueCallback(msgspec.Struct, frozen=True):
    """One that is to be sent."""

    id: str
    body: bytes
    attempts: int


class Advance(msgspec.Struct, frozen=True):
    """What there is to do."""

    due: list[DueCallback]
    next_us: int | None
    """When there is more; None: not until something new comes."""


class Settlement:
    """The books' future. Every method is part of somebody's transaction."""

    def __init__(self, database: sqlite3.Connection, ledger: Ledger, *, callbacks: bool) -> None:
        self._db = database
        self._ledger = ledger
        self._callbacks = callbacks

    def advance(self, sending: frozenset[str]) -> Advance:
        """Make the changes whose time has come.

        Args:
            sending: Callbacks that are under way.
        """
        now_us = self._ledger.now_us()
        rows = self._db.execute(
            "SELECT key, operation, answer, next_status, next_code, reverse_after_s, reverse_code,"
            " callback FROM operations WHERE next_us <= ? ORDER BY next_us LIMIT ?",
            (now_us, _AT_ONCE),
        ).fetchall()
        for row in rows:
            self._change(*row)
        due = self._db.execute(
            "SELECT id, body, attempts FROM callbacks WHERE due_us <= ? ORDER BY due_us LIMIT ?",
            (now_us, _AT_ONCE + len(sending)),
        ).fetchall()
        (next_us,) = self._db.execute(
            "SELECT min(at_us) FROM (SELECT min(next_us) AS at_us FROM operations"
            " WHERE next_us IS NOT NULL UNION ALL"
            " SELECT min(due_us) FROM callbacks WHERE due_us > ?)",
            (now_us,),
        ).fetchone()
        return Advance([DueCallback(*row) for row in due if row[0] not in sending], next_us)

    def delivered(self, id: str) -> None:
        """A callback was taken."""
        self._db.execute(
            "UPDATE callbacks SET copies = copies - 1, attempts = attempts + 1,"
            " due_us = CASE WHEN copies > 1 THEN due_us END WHERE id = ?",
            (id,),
        )

    def failed(self, id: str, wait_s: float) -> None:
        """A callback was not taken; it is sent again after so long."""
        self._db.execute(
            "UPDATE callbacks SET attempts = attempts + 1, due_us = ? WHERE id = ?",
            (self._ledger.now_us() + round(wait_s * 1e6), id),
        )

    def _change(
        self,
        key: str,
        operation: str,
        answer: bytes,
        to: str,
        code: str | None,
        reverse_after_s: float | None,
        reverse_code: str,
        callback: bytes,
    ) -> None:
        now_us = self._ledger.now_us()
        said: dict[str, Any] = msgspec.json.decode(answer)
        said |= {"status": "succeeded" if to == "succeeded" else "failed", "at_us": now_us}
        if to != "succeeded":
            reason = reverse_code if to == "reversed" else code or "declined"
            said |= {"code": reason, "message": f"The sandbox took it back: {reason}."}
        reversed_later = reverse_after_s is not None and to == "succeeded"
        next_us = now_us + round((reverse_after_s or 0.0) * 1e6) if reversed_later else None
        self._db.execute(
            "UPDATE operations SET answer = ?, next_us = ?, next_status = 'reversed',"
            " reverse_after_s = NULL WHERE key = ?",
            (_encode(said), next_us, key),
        )
        self._db.execute(
            "UPDATE payouts SET state = ?, at_us = ? WHERE key = ?", (_PAYOUT[to], now_us, key)
        )
        if to == "reversed":
            self._db.execute(
                "UPDATE actions SET state = 'undone', at_us = ? WHERE action_key = ?",
                (now_us, key),
            )
        mode = msgspec.json.decode(callback, type=CallbackMode)
        if self._callbacks and not mode.skip:
            hold_s = 0.0 if to == "reversed" else mode.hold_s
            self._announce(operation, said, now_us, hold_s, mode.copies)

    def _announce(
        self, operation: str, said: dict[str, Any], now_us: int, hold_s: float, copies: int
    ) -> None:
        moment = datetime.fromtimestamp(now_us / 1e6, UTC)
        body = {"type": f"{operation}.{said['status']}", "timestamp": moment, "data": said}
        self._db.execute(
            "INSERT INTO callbacks VALUES (?, ?, ?, ?, 0)",
            (f"msg_{secrets.token_hex(12)}", _encode(body), now_us + round(hold_s * 1e6), copies),
        )
