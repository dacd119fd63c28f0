"""What happened, in words: [Chinese, English] for each event of a life.

One catalogue for the console, the API and `kefu audit replay`; like the console's `strings.js`, but
here, because all three need it. `{name}` is filled in.
"""

from typing import Any, Final

from application.codec import split_name
from application.queries.life import LifeEvent
from domain.contact.events import (
    ContactCreated,
    ContactUpdated,
    SubjectErased,
)
from domain.conversation.events import (
    ConversationAssigned,
    ConversationLabelled,
    ConversationOpened,
    ConversationPrioritised,
    ConversationReopened,
    ConversationSnoozed,
    ConversationUnassigned,
    DeliveryCursorMoved,
    LegalHoldPlaced,
    MessageAccepted,
    ReadCursorMoved,
)
from domain.message.events import MessageEdited, MessageRecalled, MessageSent
from domain.refund.events import RefundRejected
from domain.saga.events import OperatorActed
from interfaces import shapes
from interfaces.console import refund_texts

TEXTS: Final[dict[str, tuple[str, str]]] = {
    **refund_texts.TEXTS,
    "conversation.opened": ("打开了会话（渠道 {channel}）", "opened the conversation ({channel})"),
    "conversation.message_accepted": (
        "第 {seq} 条消息被收下",
        "message {seq} was taken into the conversation",
    ),
    "conversation.message_accepted/private": (
        "第 {seq} 条（内部备注）被收下",
        "message {seq}, a private note, was taken into the conversation",
    ),
    "conversation.assigned": ("分配给 {agent}", "assigned it to {agent}"),
    "conversation.unassigned": ("取消了 {agent} 的分配", "took it from {agent}"),
    "conversation.resolved": ("标记为已解决", "resolved it"),
    "conversation.reopened": ("重新打开", "reopened it"),
    "conversation.snoozed": ("稍后处理", "snoozed it"),
    "conversation.snoozed/until": ("稍后处理，直到 {until}", "snoozed it until {until}"),
    "conversation.prioritised": ("优先级设为 {priority}", "set the priority to {priority}"),
    "conversation.prioritised/none": ("取消了优先级", "cleared the priority"),
    "conversation.labelled": (
        "标签：添加 {added}，移除 {removed}",
        "labels: added {added}, removed {removed}",
    ),
    "conversation.read_cursor_moved": ("读到第 {seq} 条", "read up to message {seq}"),
    "conversation.delivery_cursor_moved": ("收到第 {seq} 条", "received up to message {seq}"),
    "message.sent": ("发送第 {seq} 条消息：{content}", "sent message {seq}: {content}"),
    "message.sent/private": (
        "写了第 {seq} 条内部备注：{content}",
        "wrote private note {seq}: {content}",
    ),
    "message.edited": ("把第 {seq} 条改为：{content}", "changed message {seq} to: {content}"),
    "message.recalled": ("撤回第 {seq} 条消息", "recalled message {seq}"),
    "contact.created": ("创建了客户 {name}", "created the contact {name}"),
    "contact.updated": (
        "客户资料改为：姓名 {name}，邮箱 {email}",
        "changed the contact to: name {name}, email {email}",
    ),
    "contact.identity_verified": ("客户身份已验证", "proved the contact's identity"),
    "contact.conversation_started": (
        "客户开始了一个会话",
        "the contact began a conversation",
    ),
    "conversation.legal_hold_placed": ("设置了法律保全", "placed a legal hold on it"),
    "conversation.legal_hold_lifted": ("解除了法律保全", "lifted the legal hold"),
    "conversation.contact_erased": (
        "客户已被删除，会话不再接受消息",
        "took no more messages: its contact was erased",
    ),
    "message.sent/erased": (
        "发送第 {seq} 条消息（内容已删除）",
        "sent message {seq}, whose content was erased",
    ),
    "message.edited/erased": (
        "修改了第 {seq} 条（内容已删除）",
        "changed message {seq}; the content was erased",
    ),
    "contact.erased": ("删除了客户的个人数据", "erased the contact's personal data"),
    "?": ("无法读取的事件：{type}", "an event that can't be read: {type}"),
}
"""Event without its version, and a variant after `/`."""

REASONS: Final[dict[str, tuple[str, str]]] = {
    "agent": ("客服要求", "an agent asked for it"),
    "timer": ("到了约定的时间", "its time had come"),
    "message": ("客户又写了消息", "the visitor wrote again"),
}
"""Why a conversation was reopened."""

_SHORT: Final = 200
"""Characters of a message in a sentence; the raw event has all."""


def words(step: LifeEvent) -> dict[str, str]:
    """What happened, as `{"zh": ..., "en": ...}`."""
    key, values = _values(step)
    name = split_name(step.recorded.type)[0] + key
    zh, en = TEXTS.get(name, TEXTS["?"])
    values["type"] = step.recorded.type
    return {"zh": _fill(zh, values), "en": _fill(en, values)}


def reason(step: LifeEvent) -> dict[str, str] | None:
    """Why it happened, where the event says so."""
    if isinstance(step.event, SubjectErased | LegalHoldPlaced | OperatorActed | RefundRejected):
        return {"zh": step.event.reason, "en": step.event.reason} if step.event.reason else None
    if not isinstance(step.event, ConversationReopened):
        return None
    zh, en = REASONS[step.event.cause.value]
    return {"zh": zh, "en": en}


def _values(step: LifeEvent) -> tuple[str, dict[str, Any]]:
    match step.event:
        case ConversationOpened(channel=channel):
            return "", {"channel": channel}
        case MessageAccepted(seq=seq, private=private):
            return "/private" if private else "", {"seq": seq}
        case MessageSent(seq=seq, content="") | MessageEdited(seq=seq, content=""):
            return "/erased", {"seq": seq}
        case MessageSent(seq=seq, content=content, private=private):
            return "/private" if private else "", {"seq": seq, "content": _short(content)}
        case MessageEdited(seq=seq, content=content):
            return "", {"seq": seq, "content": _short(content)}
        case MessageRecalled(seq=seq) | ReadCursorMoved(seq=seq) | DeliveryCursorMoved(seq=seq):
            return "", {"seq": seq}
        case ConversationAssigned(assignee_id=id) | ConversationUnassigned(previous_assignee_id=id):
            return "", {"agent": step.agent_name or id}
        case ConversationSnoozed(until_us=until_us) if until_us is not None:
            return "/until", {"until": shapes.time(until_us)}
        case ConversationPrioritised(priority=priority):
            return ("", {"priority": priority.value}) if priority else ("/none", {})
        case ConversationLabelled(added=added, removed=removed):
            return "", {"added": _list(added), "removed": _list(removed)}
        case ContactCreated(name=name, identifier=identifier):
            return "", {"name": name or identifier or "-"}
        case ContactUpdated(name=name, email=email):
            return "", {"name": name or "-", "email": email or "-"}
        case None:
            return "/unreadable", {}
    return refund_texts.values(step.event)


def _fill(text: str, values: dict[str, Any]) -> str:
    for key, value in values.items():
        if key != "content":
            text = text.replace("{" + key + "}", str(value))
    # Last: what people wrote may hold braces of its own.
    return text.replace("{content}", str(values.get("content", "")))


def _short(content: str) -> str:
    return content if len(content) <= _SHORT else content[: _SHORT - 1] + "…"


def _list(labels: tuple[str, ...]) -> str:
    return "、".join(labels) or "-"
