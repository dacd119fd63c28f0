"""The conversation as a participant: a saga tells the customer by a message."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from application.commands.message import SendMessage
from application.ports.core import Core, Request
from application.sagas.outcome import CallOutcome, OutcomeKind
from domain import money
from domain.actors import SYSTEM
from domain.errors import DomainError, InfrastructureError

_TEXTS: Final[Mapping[str, str]] = {
    "refund-settled": "订单 {order} 的退款 {amount} 已支付。\n"
    "Your refund of {amount} for order {order} has been paid.",
    "refund-failed": "订单 {order} 的退款 {amount} 未能支付，客服会与您联系。\n"
    "Your refund of {amount} for order {order} could not be paid; we will contact you.",
    "order-cancelled": "订单 {order} 已取消。\nYour order {order} has been cancelled.",
    "order-not-cancelled": "订单 {order} 未能取消，客服会与您联系。\n"
    "Your order {order} could not be cancelled; we will contact you.",
}


class ConversationParticipant:
    """`Participant` over the core. The key is the message's ref, so a repeat finds the message."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        """As `Participant.call`; the operation is `conversation.notify`."""
        fields: dict[str, Any] = msgspec.json.decode(body)
        command = SendMessage(str(fields["conversation_id"]), key, notice(fields))
        try:
            receipt = await self._core.execute(Request(command, SYSTEM, key))
        except DomainError as error:
            return CallOutcome(OutcomeKind.DECLINED, code=error.code, detail=error.detail[:500])
        except InfrastructureError as error:
            return CallOutcome(OutcomeKind.NOT_EXECUTED, code=error.code, detail=error.detail[:500])
        return CallOutcome(OutcomeKind.SUCCEEDED, str(receipt.result["message_id"]))

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        """As `Participant.look_up`: sending it again finds out, so nothing is looked for."""
        return CallOutcome(OutcomeKind.NOT_FOUND)


def notice(fields: Mapping[str, Any]) -> str:
    """The text of a notice, Chinese and English."""
    amount = ""
    if "amount_minor" in fields:
        amount = money.show(int(fields["amount_minor"]), str(fields["currency"]))
    text = _TEXTS[str(fields["template"])]
    return text.format(order=fields["order_reference"], amount=amount)
