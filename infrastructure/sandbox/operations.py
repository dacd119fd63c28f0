"""What the sandbox is asked: operations, their paths, and the fields of a body."""

from typing import Any, Final

import msgspec

from domain.errors import InvalidInput

PATHS: Final = {
    "/payment/refunds": "payment.refund",
    "/payment/voids": "payment.void",
    "/erp/returns": "erp.authorise_return",
    "/erp/returns/cancel": "erp.cancel_return",
    "/erp/postings": "erp.post_refund",
    "/erp/postings/reverse": "erp.reverse_posting",
    "/erp/shipments/stop": "erp.stop_shipment",
    "/erp/shipments/resume": "erp.resume_shipment",
}
UNDOES: Final = {
    "erp.cancel_return": "erp.authorise_return",
    "erp.reverse_posting": "erp.post_refund",
    "erp.resume_shipment": "erp.stop_shipment",
}
"""Compensation -> what it undoes."""
LOOK_UPS: Final = {"payment": "payment.look_up", "erp": "erp.look_up"}
_LONGEST: Final = 200


class Fields(msgspec.Struct, frozen=True):
    """What the sandbox reads of a body; other fields are taken and not looked at."""

    order_reference: str
    refund_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    action_key: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A call as it came."""

    operation: str
    key: str
    digest: bytes
    """SHA-256 over operation and body: the same key with another is another call."""
    fields: Fields


def read_fields(operation: str, body: bytes) -> Fields:
    """The fields of a body.

    Raises:
        InvalidInput: it is no JSON object, or lacks what this operation needs.
    """
    try:
        fields = msgspec.json.decode(body, type=Fields)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(str(error)) from None
    texts = (fields.order_reference, fields.refund_id, fields.action_key)
    if any(text is not None and not 0 < len(text) <= _LONGEST for text in texts):
        raise InvalidInput(f"Ids and references have 1 to {_LONGEST} characters.")
    if fields.amount_minor is not None and not 0 < fields.amount_minor < 2**53:
        raise InvalidInput("amount_minor is a whole number of minor units, more than 0.")
    if fields.currency is not None and not _is_currency(fields.currency):
        raise InvalidInput("currency is three capital letters (ISO 4217).")
    needed: tuple[Any, ...] = ()
    if operation == "payment.refund":
        needed = (fields.refund_id, fields.amount_minor, fields.currency)
    elif operation in UNDOES:
        needed = (fields.action_key,)
    if None in needed:
        raise InvalidInput(f"{operation} needs more fields than these.")
    return fields


def _is_currency(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()
