"""What tests look at: the ledger, and who called how often."""

import sqlite3
from typing import Any


def ledger(database: sqlite3.Connection, order: str) -> dict[str, Any]:
    """Everything of the orders whose reference begins so; empty: of all."""
    payouts = _rows(database, "SELECT * FROM payouts", order)
    by_order: dict[str, dict[str, int]] = {}
    by_refund: dict[str, dict[str, int]] = {}
    for payout in payouts:
        for totals, name in ((by_order, "order_reference"), (by_refund, "refund_id")):
            total = totals.setdefault(payout[name], _nothing())
            total[payout["state"]] += 1
            total[f"{payout['state']}_minor"] += payout["amount_minor"]
    actions = _rows(database, "SELECT * FROM actions", order)
    kinds = {
        "returns": "erp.authorise_return",
        "postings": "erp.post_refund",
        "shipments": "erp.stop_shipment",
    }
    voids = "SELECT key, order_reference, http_status FROM operations"
    return {
        "payouts": payouts,
        "by_order": by_order,
        "by_refund": by_refund,
        "voids": _rows(database, voids, order, "operation = 'payment.void'"),
        **{
            name: [action for action in actions if action["operation"] == operation]
            for name, operation in kinds.items()
        },
        "orders": _rows(
            database,
            "SELECT * FROM (SELECT reference AS order_reference, total_minor, currency"
            " FROM orders)",
            order,
        ),
    }


def calls(database: sqlite3.Connection) -> dict[str, Any]:
    """How often what was called, look-ups too, also if it was dropped."""
    by_operation: dict[str, int] = {}
    by_key: dict[str, dict[str, int]] = {}
    for operation, key, number in database.execute("SELECT operation, key, n FROM calls"):
        by_operation[operation] = by_operation.get(operation, 0) + number
        by_key.setdefault(key, {})[operation] = number
    return {
        "total": sum(by_operation.values()),
        "by_operation": by_operation,
        "by_key": by_key,
    }


def callbacks(database: sqlite3.Connection) -> dict[str, int]:
    """Those that wait, and those that were delivered."""
    waiting, delivered = database.execute(
        "SELECT count(due_us), count(*) - count(due_us) FROM callbacks"
    ).fetchone()
    return {"waiting": waiting, "delivered": delivered}


def _nothing() -> dict[str, int]:
    states = ("pending", "settled", "failed", "reversed")
    return dict.fromkeys((*states, *(f"{state}_minor" for state in states)), 0)


def _rows(
    database: sqlite3.Connection, query: str, order: str, condition: str = "1"
) -> list[dict[str, Any]]:
    cursor = database.execute(
        f"{query} WHERE {condition} AND substr(order_reference, 1, ?) = ?", (len(order), order)
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
