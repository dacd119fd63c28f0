"""A visitor on /demo and an agent in /console talk, in real Chromium."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.proxy import CuttableProxy
from tests.serving import ADMIN, PASSWORD, Kefu

pytestmark = pytest.mark.browser
IMAGES = Path(__file__).parents[2] / "docs" / "images"
OFFLINE_MS = 10_000
NewPage = Callable[..., Any]


@pytest.fixture
def proxy(kefu: Kefu) -> Iterator[CuttableProxy]:
    relay = CuttableProxy(kefu.port)
    yield relay
    relay.close()


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/console")
    page.get_by_test_id("login-email").fill(ADMIN)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("conversation-list")).to_be_visible()


def open_widget(page: Page, url: str) -> None:
    page.goto(f"{url}/demo")
    page.get_by_test_id("launcher").click()
    expect(page.get_by_test_id("connection-state")).to_be_hidden()


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input").fill(text)
    page.get_by_test_id("input").press("Enter")


def reply(page: Page, text: str) -> None:
    page.get_by_test_id("composer-input").fill(text)
    page.get_by_test_id("composer-input").press("Enter")


def history(page: Page) -> list[str]:
    return page.get_by_test_id("message").locator(".bubble").all_inner_texts()


def test_visitor_and_agent_talk_reload_lose_the_network_and_see_the_same_history(
    kefu: Kefu, proxy: CuttableProxy, new_page: NewPage
) -> None:
    url = f"http://127.0.0.1:{proxy.port}"
    visitor, visitor_watch = new_page("en-GB")
    agent, agent_watch = new_page("zh-CN", viewport={"width": 1440, "height": 860})
    log_in(agent, url)
    open_widget(visitor, url)

    say(visitor, "Hello, where is my parcel? 我的包裹到哪里了？")
    agent.get_by_test_id("conversation-row").filter(has_text="Hello, where").first.click()
    expect(agent.get_by_test_id("message")).to_have_count(1)
    reply(agent, "您好，我马上为您查询。")
    expect(visitor.get_by_test_id("message")).to_have_count(2)

    agent.get_by_test_id("note-toggle").check()
    reply(agent, "内部：物流单号 SF123 卡在广州")
    agent.get_by_test_id("note-toggle").uncheck()
    expect(agent.get_by_test_id("message")).to_have_count(3)
    agent.get_by_test_id("label-input").fill("物流")
    agent.get_by_test_id("label-input").press("Enter")
    expect(agent.locator(".labels .chip")).to_have_count(1)

    visitor.reload()
    visitor.get_by_test_id("launcher").click()
    expect(visitor.get_by_test_id("message")).to_have_count(2)
    agent.reload()
    agent.get_by_test_id("conversation-row").filter(has_text="SF123").first.click()
    expect(agent.get_by_test_id("message")).to_have_count(3)

    proxy.cut()
    expect(agent.get_by_test_id("connection-state")).to_be_visible()
    expect(visitor.get_by_test_id("connection-state")).to_be_visible()
    reply(agent, "包裹明天送达。")
    say(visitor, "Thank you!")
    expect(agent.get_by_test_id("message-pending")).to_have_count(1)
    visitor.wait_for_timeout(OFFLINE_MS)  # the outage itself is what is tested
    proxy.mend()
    for page, count in ((agent, 5), (visitor, 4)):
        expect(page.get_by_test_id("connection-state")).to_be_hidden(timeout=20_000)
        expect(page.get_by_test_id("message")).to_have_count(count, timeout=20_000)
        expect(page.get_by_test_id("message-pending")).to_have_count(0)

    seen_by_agent = [text for text in history(agent) if not text.startswith("内部")]
    assert seen_by_agent == history(visitor)
    assert not any("SF123" in text for text in history(visitor))
    if os.environ.get("KEFU_UPDATE_SCREENSHOTS") == "1":
        agent.screenshot(path=IMAGES / "console.png")
        visitor.screenshot(path=IMAGES / "widget.png")
    for watch in (visitor_watch, agent_watch):
        assert watch.errors == []
        assert watch.foreign == []


def test_a_resolved_conversation_ends_for_the_visitor_and_a_new_one_begins(
    kefu: Kefu, new_page: NewPage
) -> None:
    visitor, watch = new_page("zh-CN")
    agent, _ = new_page("en-GB")
    log_in(agent, kefu.url)
    open_widget(visitor, kefu.url)
    say(visitor, "请帮我取消订单")
    agent.get_by_test_id("conversation-row").filter(has_text="请帮我取消订单").first.click()
    agent.get_by_test_id("resolve-button").click()
    expect(agent.get_by_test_id("reopen-button")).to_be_visible()
    say(visitor, "还在吗？")
    visitor.get_by_test_id("new-conversation").click()
    expect(visitor.get_by_test_id("input")).to_be_visible()
    say(visitor, "又有一个问题")
    expect(visitor.get_by_test_id("message")).to_have_count(1)
    assert watch.errors == []


def test_the_console_works_by_keyboard_alone(kefu: Kefu, new_page: NewPage) -> None:
    session = kefu.visitor(name="Keyboard Kim")
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    kefu.post(path, {"content": "no mouse here"}, session["token"])
    page, watch = new_page("en-GB")
    page.goto(f"{kefu.url}/console")
    page.keyboard.type(ADMIN)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    row = page.get_by_test_id("conversation-row").filter(has_text="no mouse here")
    expect(row).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("no mou")
    expect(page.get_by_test_id("conversation-row")).to_have_count(1)
    row.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(1)
    page.keyboard.press("r")
    page.keyboard.type("answered from the keyboard")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(2)
    page.get_by_test_id("thread").focus()
    page.keyboard.press("e")
    expect(page.get_by_test_id("reopen-button")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert watch.errors == []


def test_the_language_is_switched_and_remembered(kefu: Kefu, new_page: NewPage) -> None:
    page, _ = new_page("zh-CN")
    log_in(page, kefu.url)
    expect(page.get_by_test_id("filter-open")).to_have_text("进行中")
    page.get_by_test_id("language-toggle").click()
    expect(page.get_by_test_id("filter-open")).to_have_text("Open")
    page.reload()
    expect(page.get_by_test_id("filter-open")).to_have_text("Open")
