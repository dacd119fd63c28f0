"""How one provider speaks: paths, fields, words for statuses. The defaults fit the sandbox.

Source: docs/howto/providers.md.
"""

import tomllib
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from domain.errors import InvalidInput

Status = Literal["succeeded", "pending", "failed"]


class AnswerFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where things are in an answer and a callback; dots lead into objects; empty: nowhere."""

    id: str = "id"
    status: str = "status"
    code: str = "code"
    message: str = "message"
    """Kept in the log for ever: leave it empty for a provider that names persons in it."""
    time: str = "at_us"
    key: str = "idempotency_key"
    operation: str = "operation"


class CallbackForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is particular to callbacks."""

    root: str = "data"
    """Object that holds the answer's fields; empty: the body itself."""
    operations: dict[str, str] = {}
    """Provider's word -> operation, where it has words of its own."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's dialect of HTTP and JSON."""

    operations: dict[str, str]
    """Operation -> path, each taken by POST."""
    look_up: str
    """Path of a question by GET, with `{key}` and, if it needs it, `{operation}`."""
    fields: dict[str, str] = {}
    """Name in kefu -> the provider's, with dots into objects; empty: left out; not named: as is."""
    amount: Literal["minor", "decimal"] = "minor"
    """`1200` or `"12.00"`."""
    idempotency_header: str = "Idempotency-Key"
    headers: dict[str, str] = {}
    """Sent with every request, for example the version of the API. Not for secrets."""
    answer: AnswerFields = AnswerFields()
    time: Literal["us", "ms", "s", "rfc3339"] = "us"
    """Form of the answer's time: a number since 1970, or text."""
    statuses: dict[str, Status] = msgspec.field(
        default_factory=lambda: {
            "succeeded": "succeeded",
            "pending": "pending",
            "failed": "failed",
        }
    )
    """Provider's word -> what it means; another word means nothing, and the outcome is unknown."""
    in_flight: tuple[str, ...] = ("in-flight",)
    """Codes of a 409 that says: this key is being worked on."""
    already_compensated: tuple[str, ...] = ("already-compensated",)
    """Codes of a 409 that says: the call came behind its compensation, and was not done."""
    callback: CallbackForm = CallbackForm()


PAYMENT: Final = Profile(
    operations={"payment.refund": "/payment/refunds", "payment.void": "/payment/voids"},
    look_up="/payment/operations/{key}",
)
ERP: Final = Profile(
    operations={
        "erp.authorise_return": "/erp/returns",
        "erp.cancel_return": "/erp/returns/cancel",
        "erp.post_refund": "/erp/postings",
        "erp.reverse_posting": "/erp/postings/reverse",
        "erp.stop_shipment": "/erp/shipments/stop",
        "erp.resume_shipment": "/erp/shipments/resume",
    },
    look_up="/erp/operations/{key}",
)
_MERGED: Final = frozenset({"operations", "answer", "callback"})
"""What a file adds to; everything else it replaces."""


def load(path: Path, defaults: Profile) -> Profile:
    """A profile from a TOML or JSON file (by its name's end), over the defaults.

    Raises:
        InvalidInput: no such file, or not a profile; it says where.
    """
    try:
        data = path.read_bytes()
        given: Any = (
            msgspec.json.decode(data) if path.suffix == ".json" else tomllib.loads(data.decode())
        )
        if not isinstance(given, dict):
            raise InvalidInput(f"The profile {path} must be an object.")
        values = msgspec.to_builtins(defaults)
        for name, value in given.items():
            both = name in _MERGED and isinstance(value, dict)
            values[name] = values[name] | value if both else value
        profile = msgspec.convert(values, Profile)
    except OSError as error:
        raise InvalidInput(f"The profile {path} can't be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(f"The profile {path} is wrong: {error}.") from None
    _check(profile, path)
    return profile


def _check(profile: Profile, path: Path) -> None:
    paths = [*profile.operations.values(), profile.look_up]
    if not all(one.startswith("/") for one in paths):
        raise InvalidInput(f"The profile {path} is wrong: every path begins with a slash.")
    if "{key}" not in profile.look_up:
        raise InvalidInput(f"The profile {path} is wrong: `look_up` needs {{key}}.")
    if not profile.answer.status:
        raise InvalidInput(f"The profile {path} is wrong: `answer.status` must name a field.")
