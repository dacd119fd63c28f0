"""Every saga that this kefu knows, in all of its versions."""

from application.sagas import cancellation, refund
from application.sagas.definition import Definitions
from application.sagas.refund import DEFAULT_TIMING, RefundTiming


def definitions(timing: RefundTiming = DEFAULT_TIMING) -> Definitions:
    """To start new ones with, and to go on with old ones."""
    return Definitions(refund.definition_v1(timing), cancellation.definition_v1())
