"""How far a saga is, step by step, and its graph of states."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from application.sagas import diagram, refund
from application.sagas.all import definitions
from application.sagas.definition import Definition
from application.sagas.outcome import OutcomeKind
from application.sagas.progress import current_step, progress
from domain.saga.events import OperatorAction
from tests.application.projections import sagas
from tests.application.projections.sagas import Story

ROOT = Path(__file__).parents[3]
DEFINITIONS = list(definitions())


def states(story: Story) -> dict[str, str]:
    found = progress(story.definition, story.saga, story.events)
    return {step.name: step.state.value for step in found}


def test_a_saga_that_has_begun_runs_its_first_step() -> None:
    story = Story("s1")
    assert list(states(story).values()) == ["running", "todo", "todo", "todo"]
    assert current_step(story.saga) == "inventory"


def test_a_completed_saga_has_all_steps_done_with_their_references() -> None:
    story = sagas.completed("s1")
    found = progress(story.definition, story.saga, story.events)
    assert {step.state.value for step in found} == {"done"}
    assert {step.reference for step in found} == {"re_7"}
    assert [step.attempts for step in found] == [2, 1, 1, 1]
    assert found[1].key == "refund-s1-payment-1"
    assert current_step(story.saga) is None


def test_a_declined_payment_is_failed_and_what_was_done_before_it_is_undone() -> None:
    story = sagas.compensated("s1")
    assert states(story) == {
        "inventory": "undone",
        "payment": "failed",
        "posting": "todo",
        "notice": "todo",
        "failure_notice": "running",
    }
    inventory = progress(story.definition, story.saga, story.events)[0]
    assert inventory.key == "refund-s1-inventory-1-undo"


def test_a_parked_saga_names_the_step_that_a_person_is_asked_about() -> None:
    story = sagas.parked("s1")
    assert current_step(story.saga) == "payment"
    assert states(story)["payment"] == "running"
    story.operate(OperatorAction.MARK_SETTLED, "re_9")
    found = progress(story.definition, story.saga, story.events)[1]
    assert (found.state.value, found.reference) == ("done", "re_9")


def test_a_step_that_a_person_skips_is_skipped_and_one_that_failed_is_given_up() -> None:
    story = Story("s1")
    for kind in (OutcomeKind.SUCCEEDED, OutcomeKind.SUCCEEDED, OutcomeKind.DECLINED):
        story.outcome(kind)
    story.operate(OperatorAction.SKIP)
    story.outcome(OutcomeKind.DECLINED)
    assert states(story) == {
        "inventory": "done",
        "payment": "done",
        "posting": "skipped",
        "notice": "given-up",
    }


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: f"{d.name}-{d.version}")
def test_a_graph_names_every_step_and_leads_from_each_to_an_end(definition: Definition) -> None:
    text = diagram.mermaid(definition)
    edges = re.findall(r"^    (\S+) --> (\S+)", text, re.M)
    named = set(re.findall(r" as (\w+)$", text, re.M))
    steps = {step.name for step in (*definition.steps, *definition.after_failure)}
    assert steps < named
    assert {end for edge in edges for end in edge} - {"[*]"} == named
    reached = {"[*]"}
    while more := {start for start, end in edges if end in reached} - reached:
        reached |= more
    assert named - reached <= {diagram.PARKED}  # where a person decides


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: f"{d.name}-{d.version}")
def test_a_drawing_is_well_formed_and_shows_every_state(definition: Definition) -> None:
    drawing = ET.fromstring(diagram.svg(definition))
    texts = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {step.name for step in definition.steps} < texts
    _, _, width, height = map(int, drawing.attrib["viewBox"].split())
    boxes = [
        tuple(int(box.attrib[name]) for name in ("x", "y", "width", "height"))
        for box in drawing.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert len(set(boxes)) == len(boxes)
    assert all(x + w < width and y + h < height for x, y, w, h in boxes)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: f"{d.name}-{d.version}")
def test_the_docs_show_the_graph_that_the_definition_gives(definition: Definition) -> None:
    page = (ROOT / "docs/howto/sagas.md").read_text()
    assert f"```mermaid\n{diagram.mermaid(definition)}```" in page


def test_the_refund_begins_with_its_reservation() -> None:
    assert "[*] --> inventory" in diagram.mermaid(refund.definition_v1())
