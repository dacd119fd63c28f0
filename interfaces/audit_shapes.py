"""JSON shapes of lives and traces, for the API and for `kefu audit`."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from application.ports.event_store import RecordedEvent
from application.queries.life import LifeEvent
from application.queries.trace import Gap, MessageTrace, Stop
from interfaces import shapes
from interfaces.console import event_texts

GAPS: Final[dict[Gap, tuple[str, str]]] = {
    Gap.NOT_STORED: ("这一刻没有记录，只知道界限", "the moment is not stored, only its bounds are"),
    Gap.BEHIND: ("视图还没有到这个位置", "the views have not reached its position yet"),
    Gap.PARKED: (
        "视图无法处理这个事件，已搁置",
        "the views could not take the event; it is parked",
    ),
    Gap.VIEWS_DOWN: ("视图的数据库没有回答", "the views' database does not answer"),
    Gap.NO_BATCH: (
        "视图已包含它，但该批次的时间没有保留",
        "the views hold it; the time of its batch is not kept",
    ),
    Gap.NO_EVIDENCE: (
        "推送不写入日志，也没有读者确认收到",
        "pushes are not logged, and no reader has said that it arrived",
    ),
    Gap.NOBODY_YET: ("还没有读者的游标到达这条消息", "no cursor of this reader has reached it yet"),
    Gap.NOT_CONFIGURED: ("没有配置镜像", "no mirror is configured"),
}
"""[Chinese, English]."""


def life_event(step: LifeEvent, raw: Callable[[RecordedEvent], dict[str, Any]]) -> dict[str, Any]:
    """One step of a life: who, what, why, and the event as it is stored."""
    recorded, metadata = step.recorded, step.metadata
    return {
        "position": recorded.position,
        "time": shapes.time(recorded.recorded_us),
        "stream": recorded.stream,
        "version": recorded.version,
        "type": recorded.type,
        "actor": {
            "kind": metadata.actor_kind.value,
            "id": metadata.actor_id,
            "name": step.actor_name,
        },
        "what": event_texts.words(step),
        "why": {
            "reason": event_texts.reason(step),
            "causation_id": metadata.causation_id,
            "correlation_id": metadata.correlation_id,
            "traceparent": metadata.traceparent,
        },
        "unreadable": step.unreadable,
        "event": raw(recorded),
        "payload_sha256": hashlib.sha256(recorded.payload).hexdigest(),
        "receipt": f"/api/v1/events/{recorded.position}/receipt",
    }


def message_trace(found: MessageTrace) -> dict[str, Any]:
    """A message's stations in their order."""
    return {
        "message_id": found.message_id,
        "conversation_id": found.conversation_id,
        "seq": found.seq,
        "private": found.private,
        "author": shapes.author(found.author),
        "position": found.recorded.position,
        "accepted_position": found.accepted_position,
        "recorded_at": shapes.time(found.recorded.recorded_us),
        "stations": [_stop(stop) for stop in found.stops],
    }


def _stop(stop: Stop) -> dict[str, Any]:
    gap = None
    if stop.gap is not None:
        zh, en = GAPS[stop.gap]
        gap = {"code": stop.gap.value, "zh": zh, "en": en, "detail": stop.detail}
    return {
        "station": stop.station.value,
        "state": stop.state.value,
        "at": shapes.optional_time(stop.at_us),
        "not_before": shapes.optional_time(stop.not_before_us),
        "not_after": shapes.optional_time(stop.not_after_us),
        "position": stop.position,
        "reader": None if stop.reader is None else shapes.author(stop.reader),
        "gap": gap,
    }
