"""Read model `refund_policies`: a row a currency."""

from application.codec import Envelope
from application.projections.records import Changes, Keys, Records, RefundPolicyRecord
from domain.refund.events import RefundPolicySet

CATEGORY = "refund_policy"


def keys(envelope: Envelope, found: Keys) -> None:
    """None: each event says all of its row."""


def apply(envelope: Envelope, before: Records, changes: Changes) -> None:
    """Change the row."""
    event = envelope.event
    if isinstance(event, RefundPolicySet):
        changes.records.refund_policies[event.currency] = RefundPolicyRecord(
            event.currency,
            event.automatic_up_to_minor,
            event.four_eyes_above_minor,
            event.agent_daily_minor,
            envelope.recorded_us,
        )
