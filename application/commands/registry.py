"""Command type -> the function that decides it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from application.commands import (
    access,
    agent,
    audit,
    cancellation,
    contact,
    conversation,
    message,
    order,
    privacy,
    refund,
    saga,
)
from application.commands.unit_of_work import UnitOfWork
from domain.actors import Actor, Role
from domain.errors import Forbidden

Handler = Callable[[UnitOfWork, Any, Actor], dict[str, Any]]
"""Stages events on the unit of work and returns the answer; raises a DomainError to refuse."""

NEW_STREAMS: Final[Mapping[type, Callable[[Any, Actor], str]]] = {
    message.SendMessage: message.new_stream,
}
"""The stream that a command most likely begins: a group's are looked for together."""

HANDLERS: Final[Mapping[type, Handler]] = {
    message.SendMessage: message.send_message,
    message.EditMessage: message.edit_message,
    message.RecallMessage: message.recall_message,
    conversation.AssignConversation: conversation.assign_conversation,
    conversation.ChangeStatus: conversation.change_status,
    conversation.WakeConversation: conversation.wake_conversation,
    conversation.PrioritiseConversation: conversation.prioritise_conversation,
    conversation.LabelConversation: conversation.label_conversation,
    conversation.MoveReadCursor: conversation.move_read_cursor,
    conversation.MoveDeliveryCursor: conversation.move_delivery_cursor,
    contact.UpdateContact: contact.update_contact,
    privacy.EraseContact: privacy.erase_contact,
    privacy.PlaceLegalHold: privacy.place_legal_hold,
    privacy.LiftLegalHold: privacy.lift_legal_hold,
    agent.RegisterAgent: agent.register_agent,
    agent.SetPassword: agent.set_password,
    agent.ChangeAgent: agent.change_agent,
    access.StartVisitorSession: access.start_visitor_session,
    access.StartAgentSession: access.start_agent_session,
    access.EndSession: access.end_session,
    access.IssueApiKey: access.issue_api_key,
    access.RevokeApiKey: access.revoke_api_key,
    audit.RecordRead: audit.record_read,
    order.RegisterOrder: order.register_order,
    refund.RequestRefund: refund.request_refund,
    refund.ApproveRefund: refund.approve_refund,
    refund.RejectRefund: refund.reject_refund,
    refund.SetRefundPolicy: refund.set_refund_policy,
    cancellation.CancelOrder: cancellation.cancel_order,
    saga.ReportOutcome: saga.report_outcome,
    saga.FireTimer: saga.fire_timer,
    saga.OperateSaga: saga.operate_saga,
}

AUDITOR_COMMANDS: Final = frozenset({access.EndSession, agent.SetPassword, audit.RecordRead})
"""All that an auditor may send: its own session, its own password, what it has read. Each of the
three is about the actor itself; a new command is refused until somebody puts it here."""


def require_permitted(command: object, actor: Actor) -> None:
    """An auditor reads everything and writes nothing, whatever the command's own rules are.

    Raises:
        Forbidden: an auditor sent a command that changes something.
    """
    if actor.role is Role.AUDITOR and type(command) not in AUDITOR_COMMANDS:
        raise Forbidden("An auditor reads everything and writes nothing.")
