"""What the sandbox has done, and decides to do; every method is part of somebody's transaction."""

import secrets
import sqlite3
import time
from typing import Any, Final, Literal

import msgspec

from infrastructure.sandbox.operations import UNDOES, Call

_encode: Final = msgspec.json.encode


class CallbackMode(msgspec.Struct, frozen=True):
    """How the callbacks of an operation go out."""

    skip: bool = False
    copies: int = 1
    hold_s: float = 0.0
    """So long the first one waits, so that a later one overtakes it."""


class Plan(msgspec.Struct, frozen=True):
    """How a call goes that is new."""

    settle_after_s: float | None = None
    """Payments are pending for so long; None: they are settled at once."""
    decline: str | None = None
    """Refused for good with this code."""
    reverse_after_s: float | None = None
    """It succeeds, and after so long it turns out to have failed."""
    reverse_code: str = "late-failure"
    callback: CallbackMode = CallbackMode()


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes


Table = Literal["payouts", "actions"]


class Ledger:
    """The books. Not for several threads at once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._last_us = 0

    def now_us(self) -> int:
        """Time in µs since 1970, later than at the call before: of two answers one is later."""
        self._last_us = max(time.time_ns() // 1_000, self._last_us + 1)
        return self._last_us

    def count(self, operation: str, key: str) -> None:
        """Note that a call or question came."""
        self._db.execute(
            "INSERT INTO calls VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1",
            (operation, key),
        )

    def put_order(self, reference: str, total_minor: int, currency: str) -> None:
        """From now on its payouts may not be more than this."""
        self._db.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (reference, total_minor, currency)
        )

    def order_of(self, key: str) -> str | None:
        """The order that a known key is about."""
        row = self._row("SELECT order_reference FROM operations WHERE key = ?", key)
        return None if row is None else row[0]

    def look_up(self, participant: str, key: str) -> Answer:
        """How the call with this key stands."""
        row = self._row("SELECT operation, answer FROM operations WHERE key = ?", key)
        if row is None or not row[0].startswith(f"{participant}."):
            return problem(404, "not-found", "There is no operation with this key.")
        return Answer(200, row[1])

    def call(self, call: Call, plan: Plan) -> Answer:
        """Do it, or say again what came of it."""
        known = self._row(
            "SELECT digest, http_status, first_answer FROM operations WHERE key = ?", call.key
        )
        if known is not None:
            if known[0] != call.digest:
                return problem(
                    422, "idempotency-key-reused", "This key came with another body before."
                )
            return Answer(known[1], known[2])
        if call.operation in UNDOES:
            return self._undo(call, plan)
        if call.operation.startswith("erp."):
            return self._act(call, plan)
        return self._pay(call, plan)

    # Payment

    def _pay(self, call: Call, plan: Plan) -> Answer:
        code = plan.decline
        later = plan.settle_after_s is not None
        if call.operation == "payment.refund":
            excess = self._excess(call)
            if excess is not None:
                return self._record(call, plan, 402, "failed", code=excess)
            if code is None or later:
                self._payout(call, "pending" if later else "settled")
        if later:
            return self._record(call, plan, 202, "pending", then="failed" if code else "succeeded")
        if code is not None:
            return self._record(call, plan, 402, "failed", code=code)
        return self._record(call, plan, 200, "succeeded")

    def _excess(self, call: Call) -> str | None:
        """Why the order does not allow this payout."""
        fields = call.fields
        order = self._row(
            "SELECT total_minor, currency FROM orders WHERE reference = ?", fields.order_reference
        )
        if order is None:
            return None
        if order[1] != fields.currency:
            return "currency-mismatch"
        (paid,) = self._db.execute(
            "SELECT coalesce(sum(amount_minor), 0) FROM payouts"
            " WHERE order_reference = ? AND state IN ('pending', 'settled')",
            (fields.order_reference,),
        ).fetchone()
        return "order-total-exceeded" if paid + (fields.amount_minor or 0) > order[0] else None

    def _payout(self, call: Call, state: str) -> None:
        fields = call.fields
        self._db.execute(
            "INSERT INTO payouts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(call.key, fields.refund_id, fields.order_reference, fields.amount_minor),
                *(fields.currency, state, self.now_us()),
            ),
        )

    # ERP: DTM's barrier, https://dtm.pub/practice/barrier.html

    def _act(self, call: Call, plan: Plan) -> Answer:
        fields = call.fields
        if self._row("SELECT 1 FROM actions WHERE action_key = ?", call.key) is not None:
            # Its call is not known, so this is what its compensation left.
            return self._record(call, plan, 409, "failed", code="already-compensated")
        if plan.decline is not None:
            return self._record(call, plan, 402, "failed", code=plan.decline)
        self._db.execute(
            "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?, 'done', NULL, ?)",
            (
                *(call.key, call.operation, fields.refund_id, fields.order_reference),
                *(fields.amount_minor, fields.currency, self.now_us()),
            ),
        )
        return self._record(call, plan, 200, "succeeded")

    def _undo(self, call: Call, plan: Plan) -> Answer:
        fields, action = call.fields, UNDOES[call.operation]
        row = self._row(
            "SELECT operation, state, undo_id, at_us FROM actions WHERE action_key = ?",
            fields.action_key,
        )
        if row is not None and row[0] != action:
            return self._record(call, plan, 422, "failed", code="wrong-action")
        if row is not None and row[1] != "done":
            # A second compensation, of whatever key: what the first one was told.
            null = {"null": True} if row[1] == "null" else {}
            more = {"id": row[2], "at_us": row[3], **null}
            return self._record(call, plan, 200, "succeeded", more=more)
        if plan.decline is not None:
            return self._record(call, plan, 402, "failed", code=plan.decline)
        id, now_us = _new_id(), self.now_us()
        if row is None:
            self._db.execute(
                "INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?, 'null', ?, ?)",
                (
                    *(fields.action_key, action, fields.refund_id, fields.order_reference),
                    *(fields.amount_minor, fields.currency, id, now_us),
                ),
            )
        else:
            self._db.execute(
                "UPDATE actions SET state = 'undone', undo_id = ?, at_us = ? WHERE action_key = ?",
                (id, now_us, fields.action_key),
            )
        null = {"null": True} if row is None else {}
        more = {"id": id, "at_us": now_us, **null}
        return self._record(call, plan, 200, "succeeded", more=more)

    # What all share

    def _record(
        self,
        call: Call,
        plan: Plan,
        http_status: int,
        status: str,
        *,
        code: str | None = None,
        then: str | None = None,
        more: dict[str, Any] | None = None,
    ) -> Answer:
        now_us = self.now_us()
        said: dict[str, Any] = {
            "id": _new_id(),
            "idempotency_key": call.key,
            "operation": call.operation,
            "status": status,
        }
        if code is not None:
            said |= {"code": code, "message": f"The sandbox refused it: {code}."}
        if call.fields.amount_minor is not None:
            said |= {"amount_minor": call.fields.amount_minor, "currency": call.fields.currency}
        body = _encode(said | {"at_us": now_us} | (more or {}))
        reverse_s = plan.reverse_after_s if status != "failed" else None
        next_us = None
        if then is not None:
            next_us = now_us + round((plan.settle_after_s or 0.0) * 1e6)
        elif reverse_s is not None:
            next_us, then, reverse_s = now_us + round(reverse_s * 1e6), "reversed", None
        self._db.execute(
            "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(call.key, call.digest, call.operation, call.fields.order_reference),
                *(http_status, body, body, next_us, then, plan.decline, reverse_s),
                *(plan.reverse_code, _encode(plan.callback)),
            ),
        )
        return Answer(http_status, body)

    def _row(self, query: str, *values: Any) -> Any:
        return self._db.execute(query, values).fetchone()


def problem(status: int, code: str, message: str) -> Answer:
    """An answer that is no operation's."""
    return Answer(status, _encode({"status": "failed", "code": code, "message": message}))


def _new_id() -> str:
    return f"sbx_{secrets.token_hex(10)}"
