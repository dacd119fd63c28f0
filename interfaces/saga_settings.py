"""Settings of sagas: how long is waited for whom, and how often it is tried."""

from typing import Final

from application.sagas.refund import RefundTiming
from interfaces.provider_settings import ProviderSettings
from interfaces.setting import Setting

_DAY_S: Final = 86_400.0
_MOST_S: Final = 100_000_000

SAGA_SETTINGS: Final = (
    Setting(
        "saga_first_delay_s",
        "KEFU_SAGA_FIRST_DELAY_S",
        0.5,
        "Pause in s after the first failed attempt of a call; it doubles with each one.",
    ),
    Setting("saga_longest_delay_s", "KEFU_SAGA_LONGEST_DELAY_S", 300.0, "Longest such pause in s."),
    Setting(
        "saga_call_timeout_s",
        "KEFU_SAGA_CALL_TIMEOUT_S",
        10.0,
        "Time in s for one call to payment or ERP; after it the outcome is unknown, and asked for.",
    ),
    Setting(
        "saga_calls_at_once",
        "KEFU_SAGA_CALLS_AT_ONCE",
        64,
        "Calls to one participant under way at once.",
        most=1_000,
    ),
    Setting(
        "refund_reservation_s",
        "KEFU_REFUND_RESERVATION_S",
        3_600.0,
        "Time in s for the ERP to authorise a return; after it the refund is given up.",
        most=_MOST_S,
    ),
    Setting(
        "refund_payment_s",
        "KEFU_REFUND_PAYMENT_S",
        _DAY_S,
        "Time in s for a payout to be taken or refused; after it a person decides.",
        most=_MOST_S,
    ),
    Setting(
        "refund_settlement_s",
        "KEFU_REFUND_SETTLEMENT_S",
        7 * _DAY_S,
        "Time in s for a payout that was taken to be settled; after it a person decides.",
        most=_MOST_S,
    ),
    Setting(
        "refund_posting_s",
        "KEFU_REFUND_POSTING_S",
        _DAY_S,
        "Time in s after which a refund that the ERP has not posted counts as overdue; it is tried "
        "on all the same.",
        most=_MOST_S,
    ),
    Setting(
        "refund_notice_s",
        "KEFU_REFUND_NOTICE_S",
        3_600.0,
        "Time in s to tell the customer; after it the refund ends without.",
        most=_MOST_S,
    ),
    Setting(
        "refund_compensation_s",
        "KEFU_REFUND_COMPENSATION_S",
        _DAY_S,
        "Time in s to undo a step; after it a person decides.",
        most=_MOST_S,
    ),
)


class SagaSettings(ProviderSettings, frozen=True, kw_only=True):
    """See `SAGA_SETTINGS` for meanings and defaults. A struct has one base: groups are a chain."""

    saga_first_delay_s: float
    saga_longest_delay_s: float
    saga_call_timeout_s: float
    saga_calls_at_once: int
    refund_reservation_s: float
    refund_payment_s: float
    refund_settlement_s: float
    refund_posting_s: float
    refund_notice_s: float
    refund_compensation_s: float

    @property
    def refund_timing(self) -> RefundTiming:
        """Deadlines and pauses of refunds."""
        return RefundTiming(
            first_delay_s=self.saga_first_delay_s,
            longest_delay_s=self.saga_longest_delay_s,
            reservation_deadline_s=self.refund_reservation_s,
            payment_deadline_s=self.refund_payment_s,
            settlement_deadline_s=self.refund_settlement_s,
            posting_deadline_s=self.refund_posting_s,
            notice_deadline_s=self.refund_notice_s,
            compensation_deadline_s=self.refund_compensation_s,
        )
