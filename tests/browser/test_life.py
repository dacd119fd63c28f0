"""An auditor walks along a conversation's life in the console, in real Chromium."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.test_main_job import NewPage
from tests.interfaces.http.test_audit import talk
from tests.serving import PASSWORD, Kefu

pytestmark = pytest.mark.browser
IMAGES = Path(__file__).parents[2] / "docs" / "images"


def auditor(kefu: Kefu, name: str) -> str:
    email = f"auditor-{name}@shop.example"
    body = {"email": email, "name": name, "role": "auditor", "password": PASSWORD}
    kefu.post("/api/v1/agents", body, kefu.login())
    return email


def enter(page: Any, kefu: Kefu, email: str) -> None:
    page.goto(f"{kefu.url}/console")
    page.get_by_test_id("login-email").fill(email)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("conversation-list")).to_be_visible()


def test_an_auditor_scrubs_through_a_life_and_sees_what_an_agent_changed(
    kefu: Kefu, new_page: NewPage
) -> None:
    told = talk(kefu)
    page, watch = new_page("en-GB", viewport={"width": 1440, "height": 860})
    enter(page, kefu, auditor(kefu, "Scrubber"))
    page.locator(f'[data-conversation-id="{told["id"]}"]').click()
    expect(page.get_by_test_id("message")).to_have_count(2)
    expect(page.get_by_test_id("composer-input")).to_be_hidden()
    page.get_by_test_id("history-button").click()

    rows = page.get_by_test_id("life-row")
    expect(rows.first).to_be_visible()
    total = rows.count()
    expect(page.get_by_test_id("life-step")).to_have_text(f"Step 1 of {total}")
    expect(page.get_by_test_id("life-then")).to_contain_text("had not begun yet")

    page.keyboard.press("End")
    expect(page.get_by_test_id("life-step")).to_have_text(f"Step {total} of {total}")
    then = page.get_by_test_id("life-message").locator(".bubble")
    expect(then).to_have_text(["typo", "This message was recalled"])
    expect(page.get_by_test_id("life-facts")).to_contain_text("Assignee: 韩梅梅")

    # Back before the recall and the edit: what everybody saw then.
    position = str(told["reply"]["position"])
    for _ in range(total):
        selected = page.locator('[data-testid="life-row"][aria-selected]')
        if selected.get_attribute("data-position") == position:
            break
        page.keyboard.press("ArrowUp")
    expect(then).to_have_text(["tpyo", "oops, wrong person"])
    detail = page.get_by_test_id("life-detail")
    expect(detail).to_contain_text("韩梅梅 (Agent)")
    expect(detail).to_contain_text("sent message 2: oops, wrong person")
    raw = json.loads(page.get_by_test_id("life-raw").inner_text())
    assert raw["data"]["content"] == "oops, wrong person"
    assert raw["position"] == position
    expect(detail).to_contain_text(re.compile("[0-9a-f]{64}"))
    expect(page.get_by_test_id("life-receipt")).to_be_visible()

    page.get_by_test_id("life-trace-button").click()
    stations = page.get_by_test_id("life-trace").locator("tr")
    expect(stations.first).to_have_attribute("data-station", "received")
    expect(stations.last).to_contain_text("no mirror is configured")
    if os.environ.get("KEFU_UPDATE_SCREENSHOTS") == "1":
        page.screenshot(path=IMAGES / "life.png")

    slider = page.get_by_test_id("life-slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.get_by_test_id("life-step")).to_have_text(f"Step 1 of {total}")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("conversation-list")).to_be_visible()
    assert watch.errors == []
    assert watch.foreign == []


def test_the_life_is_opened_by_keyboard_in_chinese_too_and_agents_have_no_such_button(
    kefu: Kefu, new_page: NewPage
) -> None:
    told = talk(kefu)
    page, watch = new_page("zh-CN")
    enter(page, kefu, auditor(kefu, "Keys"))
    page.locator(f'[data-conversation-id="{told["id"]}"]').click()
    page.get_by_test_id("thread").focus()
    page.keyboard.press("h")
    expect(page.get_by_test_id("life-row").first).to_contain_text("创建了客户 李雷")
    expect(page.get_by_test_id("life-steps")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("life-step")).to_contain_text("第 2 步")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("life-steps")).to_have_count(0)
    assert watch.errors == []

    email = f"agent-{told['id']}@shop.example"
    body = {"email": email, "name": "A", "role": "agent", "password": PASSWORD}
    kefu.post("/api/v1/agents", body, kefu.login())
    other, _ = new_page("en-GB")
    enter(other, kefu, email)
    other.locator(f'[data-conversation-id="{told["id"]}"]').click()
    expect(other.get_by_test_id("resolve-button")).to_be_visible()
    expect(other.get_by_test_id("history-button")).to_be_hidden()
