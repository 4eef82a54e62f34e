"""The page in the reader's language: every tab of it in Chinese, in a real browser that asks for that, and the switch.

The program that is recorded says nothing in Latin letters, so whatever word there is left comes from the page.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

SECONDS = 1000
PROGRAM = """
import sys, time
from greenscope.runtime import Event, Queue, Semaphore, joinall, sleep, socket, spawn
from greenscope.runtime.threadpool import ThreadPool
from greenscope.trace import request, set_name

锁, 队列, 永远 = Semaphore(1), Queue(), Event()

def 叫(名, 做, *以):
    def 起():
        set_name(名)
        return 做(*以)
    return spawn(起)

def 卡():
    sleep(0)
    始 = time.thread_time()
    while time.thread_time() < 始 + 0.3: pass

def 查():
    with 锁: sleep(0.02)

def 服(号):
    with request(str(号), "/订单/" + str(号)) as 应:
        joinall([叫(f"查{号}", 查), 叫(f"又{号}", 查)])
        应.status = 500 if 号 == 3 else 200

def 坏():
    raise ValueError

def 挂():
    with request("9", "/挂"): 永远.wait()

听 = socket.socket()
听.bind(("127.0.0.1", 0))
听.listen()
def 接():
    对, _ = 听.accept()
    对.recv(1)
接者 = 叫("接", 接)
通 = socket.create_connection(听.getsockname())
叫("读", 通.recv, 1)
叫("取", 队列.get)
叫("再接", 听.accept)
sys.stderr = open("/dev/null", "w")
joinall([叫("坏", 坏), 叫("卡", 卡)])
joinall([叫(f"服{号}", 服, 号) for 号 in range(1, 5)])
叫("挂", 挂)
set_name("主")
sleep(0.05)
print("ready", flush=True)
永远.wait()
"""

# Units, what the field and the keyboard call things, the product's name, and what the runtime and Python call theirs.
ALLOWED = {
    *("ns", "µs", "ms", "min", "fd", "pid", "hub", "kill", "p50", "p90", "p99", "id", "WSGI", "ASGI", "xx"),
    *("Esc", "Enter", "Shift", "PgUp", "PgDn", "Home", "End", "English", "greenscope", "hub-blocked"),
    *("python", "py", "main", "module", "MainThread"),
}
"""Words in Latin letters that a page in Chinese has as well."""

WORDS = """() => {
    const skip = "script, style, code, .function, [lang=en], #ring, #process";
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
        if (element.closest(skip)) continue;
        if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
        else for (const name of ["aria-label", "aria-roledescription", "title", "placeholder"]) {
            if (node.hasAttribute(name)) found.push(node.getAttribute(name));
        }
    }
    return found;
}"""
"""All texts of the page, also those that are only read aloud, but for what is code, or says that it is English.

Lines of the program, and of the runtime, are left out by ``english_words``.
"""


@dataclass
class Recorded:
    """A living process, and where the page about it is."""

    url: str
    process: subprocess.Popen[str]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setenv("GREENSCOPE_DIR", str(tmp_path / "rings"))
    (tmp_path / "七.py").write_text(PROGRAM, encoding="utf-8")
    serve = [sys.executable, "-m", "greenscope", "serve", "--port", "0", str(tmp_path / "rings")]
    with subprocess.Popen([sys.executable, "七.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as viewer:
            assert viewer.stderr is not None
            found = re.search(r"http://\S+", viewer.stderr.readline())
            assert found is not None
            yield Recorded(found[0], process)
            viewer.send_signal(signal.SIGINT)
        process.kill()


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    return {**browser_context_args, "locale": "zh-CN"}


def english_words(page: Page) -> dict[str, str]:
    """Words in Latin letters that are on the page, and have no business there; each in a text that it is in."""
    code = r"\S+\.py(:\d+( \S+)?)?|--detail teach"
    texts = [re.sub(code, "", text) for text in page.evaluate(WORDS)]
    words = {word: text for text in texts for word in re.findall(r"[A-Za-zµ][A-Za-zµ0-9-]+", text)}
    return {word: text for word, text in words.items() if word not in ALLOWED}


def open_tab(page: Page, number: int, name: str) -> None:
    page.keyboard.press(str(number))
    expect(page.locator(f"#panel-{name}")).to_be_visible()


@pytest.mark.usefixtures("default_stalls")
def test_every_tab_is_in_chinese(page: Page, recorded: Recorded) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(recorded.url)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#live-text")).to_contain_text("实时", timeout=20 * SECONDS)
    expect(page.locator("#stalls-badge")).to_be_visible(timeout=20 * SECONDS)
    assert english_words(page) == {}

    # The timeline: what is pointed at, with whom it waits for, and all that is known of it at its side.
    page.locator("#lanes-canvas").focus()
    page.keyboard.press("0")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#tooltip")).to_be_visible()
    expect(page.locator("#side .facts").first).to_be_visible()
    assert english_words(page) == {}
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    side = page.locator("#side")
    expect(side).to_contain_text("观察到的情况")
    expect(side.locator(".finding-told")).to_have_attribute("lang", "en")
    assert english_words(page) == {}
    page.locator("#card-stall").click()
    expect(side).to_contain_text("占用 hub")
    assert english_words(page) == {}
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert english_words(page) == {}
    page.keyboard.press("Escape")

    open_tab(page, 2, "greenlets")
    page.locator("#exited").check()
    rows = page.locator("#greenlets-table tbody tr")
    expect(rows.filter(has_text="因异常结束")).to_have_count(1)
    expect(rows.filter(has_text="等待：可读").filter(has_text="监听 127.0.0.1")).to_have_count(1)
    assert english_words(page) == {}

    open_tab(page, 3, "stalls")
    expect(page.locator("#stalls li").filter(has_text="hub 被占用")).to_have_count(1)
    assert english_words(page) == {}

    open_tab(page, 4, "profile")
    for by in page.locator("#profile-by label").all():
        by.click()
        expect(
            page.locator("#profile-charts:visible, #profile-table:visible, #profile-empty:visible").first
        ).to_be_visible()
        expect(page.locator("#profile-empty")).not_to_have_text("正在汇总…")
        assert english_words(page) == {}, by.inner_text()

    open_tab(page, 5, "requests")
    requests = page.locator("#requests-table tbody tr")
    expect(requests).to_have_count(5)
    expect(requests.first).to_contain_text("等待：事件")
    assert english_words(page) == {}
    requests.filter(has_text="/订单/3").get_by_role("button").click()
    expect(page.locator("#requests-one .path-totals")).to_contain_text("等待：锁")
    assert english_words(page) == {}

    page.keyboard.press("Escape")
    open_tab(page, 6, "replay")
    expect(page.locator("#panel-replay")).to_contain_text("没有协程就绪", timeout=20 * SECONDS)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    assert english_words(page) == {}

    # What is searched for and not there, and what dies.
    page.keyboard.press("/")
    page.keyboard.type("无")
    for name in ("greenlets", "stalls", "profile", "requests"):
        page.locator(f"#tab-{name}").click()
        expect(page.locator(f"#panel-{name}")).to_contain_text("匹配“无”")
        assert english_words(page) == {}
    recorded.process.kill()
    expect(page.locator("#banner")).to_contain_text("进程没有正常退出", timeout=20 * SECONDS)
    assert english_words(page) == {}
    assert errors == []


def test_the_language_is_switched_and_stays(page: Page, context: BrowserContext, recorded: Recorded) -> None:
    page.goto(recorded.url)
    expect(page.locator("#live-text")).to_contain_text("实时", timeout=20 * SECONDS)
    page.keyboard.press("5")
    page.locator("#requests-table button").first.click()
    expect(page.locator("#requests-one h2")).to_be_visible()
    address = page.url

    # The switch is labelled in the language that it switches to; what was looked at is looked at again.
    switch = page.locator("#language")
    expect(switch).to_have_text("English")
    expect(switch).to_have_attribute("lang", "en")
    switch.click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#tab-requests")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#requests-one")).to_contain_text("Critical path", timeout=20 * SECONDS)
    assert page.url == address
    expect(switch).to_have_text("中文")
    expect(switch).to_have_attribute("lang", "zh-CN")

    # It stays: after a reload, and in another window.
    page.keyboard.press("1")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    other = context.new_page()
    other.goto(recorded.url)
    expect(other.get_by_role("tab", name="Greenlets")).to_be_visible()
    other.get_by_role("tab", name="Greenlets").click()
    other.get_by_role("button", name="中文").click()
    expect(other.get_by_role("tab", name="协程")).to_have_attribute("aria-selected", "true")
    expect(other.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_address_may_ask_for_a_language_and_the_switch_counts_for_more(
    browser: Browser, recorded: Recorded
) -> None:
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(f"{recorded.url}/?lang=zh")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        page.locator("#language").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        assert "lang=" not in page.url


@pytest.mark.parametrize(
    ("locale", "language", "words"),
    [("zh-Hans", "zh-CN", "时间线"), ("en-GB", "en", "Timeline"), ("de-DE", "en", "Timeline")],
)
def test_the_language_is_the_browsers(
    browser: Browser, recorded: Recorded, locale: str, language: str, words: str
) -> None:
    with browser.new_context(locale=locale) as context:
        page = context.new_page()
        page.goto(recorded.url)
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#tab-timeline")).to_have_text(words)
