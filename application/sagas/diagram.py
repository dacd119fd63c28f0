"""A saga's graph of states, drawn from its definition: Mermaid for docs, SVG for the console.

Source of the syntax: https://mermaid.js.org/syntax/stateDiagram.html
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from application.sagas.definition import Definition, Step, StepKind

COMPLETED: Final = "completed"
COMPENSATED: Final = "compensated"
PARKED: Final = "parked"
_BOX_W: Final = 168
_BOX_H: Final = 46
_GAP_X: Final = 108
_GAP_Y: Final = 62
_MARGIN: Final = 16


class _State(NamedTuple):
    id: str
    title: str
    note: str
    column: int
    row: int


class _Arrow(NamedTuple):
    start: str
    end: str
    label: str


def mermaid(definition: Definition) -> str:
    """A `stateDiagram-v2`, ending with a line break."""
    states, arrows = _states(definition), _arrows(definition)
    lines = ["stateDiagram-v2"]
    for state in states:
        title = f"{state.title}: {state.note}" if state.note else state.title
        lines.append(f'    state "{title}" as {state.id}')
    lines.append(f"    [*] --> {definition.steps[0].name}")
    for arrow in arrows:
        label = f" : {arrow.label}" if arrow.label else ""
        lines.append(f"    {arrow.start} --> {arrow.end}{label}")
    lines += [f"    {end} --> [*]" for end in _ends(definition)]
    return "\n".join(lines) + "\n"


def svg(definition: Definition) -> str:
    """One `<svg>` in the colour of the text around it; by itself it follows the reader's scheme."""
    states = {state.id: state for state in _states(definition)}
    width = max(_x(s) for s in states.values()) + _BOX_W + _MARGIN
    height = max(_y(s) for s in states.values()) + _BOX_H + _MARGIN
    marker = f"arrow-{definition.name}-{definition.version}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(definition.name)} {definition.version}" fill="none"'
        ' stroke="currentColor" font-family="system-ui,sans-serif" font-size="12">',
        "<style>svg:root{color:#1f2933}@media(prefers-color-scheme:dark)"
        "{svg:root{color:#e5e7eb}}</style>",
        f'<defs><marker id="{marker}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"'
        ' stroke="none"/></marker></defs>',
    ]
    for arrow in _arrows(definition):
        parts.append(_line(states[arrow.start], states[arrow.end], arrow.label, marker))
    parts += [_box(state) for state in states.values()]
    return "".join(parts) + "</svg>"


def _states(definition: Definition) -> list[_State]:
    found = [
        _State(step.name, step.name, step.operation, column, 0)
        for column, step in enumerate(definition.steps)
    ]
    last = len(definition.steps)
    found.append(_State(COMPLETED, COMPLETED, "", last, 0))
    columns = {step.name: column for column, step in enumerate(definition.steps)}
    undone = _undone(definition)
    found += [
        _State(_undo(step), f"undo {step.name}", step.undo or "", columns[step.name], 2)
        for step in undone
    ]
    if _parks(definition):
        found.append(_State(PARKED, PARKED, "a person decides", min(2, last - 1), 1))
    if _compensates(definition):
        for row, step in enumerate(definition.after_failure, 3):
            found.append(_State(step.name, step.name, step.operation, 0, row))
        notices = len(definition.after_failure)
        at = (1, 2 + notices) if notices else (0, 3)
        found.append(_State(COMPENSATED, COMPENSATED, "", *at))
    return found


def _arrows(definition: Definition) -> list[_Arrow]:
    found: list[_Arrow] = []
    steps = definition.steps
    for step, following in zip(steps, [*(s.name for s in steps[1:]), COMPLETED], strict=True):
        found += _of_step(definition, step, following)
    undone = _undone(definition)
    ways = [*(_undo(step) for step in reversed(undone)), *_after_undo(definition)]
    for start, end in pairwise(ways):
        if start in {_undo(step) for step in undone}:
            found.append(_Arrow(start, end, "undone"))
            found.append(_Arrow(start, PARKED, "not undone"))
        else:
            found.append(_Arrow(start, end, "done or given up"))
    return found


def _of_step(definition: Definition, step: Step, following: str) -> Iterator[_Arrow]:
    match step.kind:
        case StepKind.BEST_EFFORT:
            yield _Arrow(step.name, following, "done or given up")
        case StepKind.RETRIABLE:
            yield _Arrow(step.name, following, "done")
            yield _Arrow(step.name, PARKED, "declined")
        case StepKind.PIVOT:
            yield _Arrow(step.name, following, "done")
            yield _Arrow(step.name, _first_undo(definition, step), "declined")
            yield _Arrow(step.name, PARKED, "unknown or too late")
        case StepKind.COMPENSATABLE:
            yield _Arrow(step.name, following, "done")
            yield _Arrow(step.name, _first_undo(definition, step), "declined or too late")


def _first_undo(definition: Definition, failed: Step) -> str:
    """What a failure leads to: its own undo, since a call too late may have taken effect."""
    at = definition.steps.index(failed)
    undone = [step for step in definition.steps[: at + 1] if step in _undone(definition)]
    return _undo(undone[-1]) if undone else _after_undo(definition)[0]


def _undone(definition: Definition) -> list[Step]:
    """Steps before the pivot that can be undone; those after it are, for a reversal alone."""
    before = (StepKind.COMPENSATABLE,)
    return [step for step in definition.steps if step.undo is not None and step.kind in before]


def _after_undo(definition: Definition) -> list[str]:
    return [*(step.name for step in definition.after_failure), COMPENSATED]


def _compensates(definition: Definition) -> bool:
    kinds = {step.kind for step in definition.steps}
    return bool(kinds & {StepKind.COMPENSATABLE, StepKind.PIVOT})


def _parks(definition: Definition) -> bool:
    kinds = {step.kind for step in definition.steps}
    return bool(kinds & {StepKind.PIVOT, StepKind.RETRIABLE}) or bool(_undone(definition))


def _ends(definition: Definition) -> list[str]:
    return [COMPLETED, COMPENSATED] if _compensates(definition) else [COMPLETED]


def _undo(step: Step) -> str:
    return f"undo_{step.name}"


def _x(state: _State) -> int:
    return _MARGIN + state.column * (_BOX_W + _GAP_X)


def _y(state: _State) -> int:
    return _MARGIN + state.row * (_BOX_H + _GAP_Y)


def _box(state: _State) -> str:
    x, y = _x(state), _y(state)
    middle = x + _BOX_W // 2
    title_y = y + (20 if state.note else 28)
    text = f'<text x="{middle}" y="{title_y}" text-anchor="middle" fill="currentColor"'
    found = f'<g><rect x="{x}" y="{y}" width="{_BOX_W}" height="{_BOX_H}" rx="8"/>'
    found += f'{text} stroke="none" font-weight="600">{escape(state.title)}</text>'
    if state.note:
        found += f'<text x="{middle}" y="{y + 36}" text-anchor="middle" fill="currentColor"'
        found += f' stroke="none" opacity="0.75">{escape(state.note)}</text>'
    return found + "</g>"


def _line(start: _State, end: _State, label: str, marker: str) -> str:
    x1, y1, x2, y2 = _ends_of_line(start, end)
    if start.row == end.row:
        at, anchor = ((x1 + x2) // 2, y1 - 6), "middle"
    else:
        # A third of the way: lines that meet at one end keep their labels apart. On the side of
        # the line where the label does not cross it.
        x, y = x1 + (x2 - x1) // 3, y1 + (y2 - y1) // 3
        at, anchor = (x + 5, y if y2 > y1 else y + 14), "start"
        if x2 < x1:
            at, anchor = (x - 5, y), "end"
    text = f'<text x="{at[0]}" y="{at[1]}" text-anchor="{anchor}" fill="currentColor"'
    return (
        f'<path d="M{x1} {y1}L{x2} {y2}" marker-end="url(#{marker})" opacity="0.7"/>'
        f'{text} stroke="none" font-size="10">{escape(label)}</text>'
    )


def _ends_of_line(start: _State, end: _State) -> tuple[int, int, int, int]:
    """From border to border."""
    middle = _BOX_H // 2
    if start.row == end.row:
        right = start.column < end.column
        x1, x2 = _x(start) + (_BOX_W if right else 0), _x(end) + (0 if right else _BOX_W)
        return x1, _y(start) + middle, x2, _y(end) + middle
    down = start.row < end.row
    x1, x2 = _x(start) + _BOX_W // 2, _x(end) + _BOX_W // 2
    y1 = _y(start) + (_BOX_H if down else 0)
    y2 = _y(end) + (0 if down else _BOX_H)
    return x1, y1, x2, y2
