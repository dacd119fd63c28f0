"""Idempotency keys on the write side: the first answer of a request, kept in the log for ever."""

from typing import Any

from application.commands.message import SendMessage
from application.commands.unit_of_work import UnitOfWork
from application.ports.core import Idempotency, Request
from domain.idempotency import request as requests
from domain.idempotency.events import RequestCompleted
from domain.message import message as messages


def earlier_answer(uow: UnitOfWork, request: Request, key: Idempotency) -> dict[str, Any] | None:
    """The answer that this key got before, with its position; None: the key is new.

    Raises:
        IdempotencyKeyReused: the key stands for another request.
    """
    id = requests.request_id(request.actor, key.key)
    known = uow.load(requests.DECIDER, id)
    requests.require_same(known, key.fingerprint)
    if known.fingerprint is None:
        return None
    if isinstance(request.command, SendMessage):
        # The key may stand for a repeat of a message that was sent without it, further up.
        uow.answer_with_position_of(messages.DECIDER.stream(str(known.result["message_id"])))
    else:
        uow.answer_with_position_of(requests.DECIDER.stream(id))
    return known.result


def complete_request(
    uow: UnitOfWork, request: Request, key: Idempotency, answer: dict[str, Any]
) -> None:
    """Stage the answer, last in the command's batch: its position minus one is the answer's."""
    id = requests.request_id(request.actor, key.key)
    event = RequestCompleted(key.fingerprint, answer)
    uow.stage(requests.DECIDER, id, (event,), subject=uow.subject)
