"""The desk in a real headless Chromium, by keyboard: who waits is listed, claimed, read, answered from the catalog, and closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Running, running
from tests.serve.handover_desk import ADA, BOB, CHANNEL, TOKENS, engine, post, queue, say, shop
from tests.serve.page_browser import PHONE, Tab, browser, find_chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; name one with the variable CHROMIUM"),
]
WAIT_S = 30.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running({"desk": shop(tmp_path_factory.mktemp("shop"))}, {"scripted": engine()}, tokens=TOKENS) as server:
        yield server


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def client(site: Running) -> Iterator[Any]:
    with httpx.Client(base_url=site.url, trust_env=False) as one:
        yield one


IS_SHOWN = "document.querySelector('#queue button, dialog[open]') || !document.getElementById('queue-empty').hidden"
IS_READY = "(() => { const one = document.querySelector(NAME); return one && !one.disabled && !one.closest('[hidden]'); })()"


def open_desk(tab: Tab, site: Running, token: str = "") -> None:
    """Opens it in a tab that knows no token but this one."""
    shown = f"document.readyState === 'complete' && document.getElementById('queue') && ({IS_SHOWN})"
    tab.call("Page.navigate", url=f"{site.url}/desk")
    tab.wait_for(shown, WAIT_S)
    tab.look("sessionStorage.clear()")
    tab.call("Page.navigate", url="about:blank")
    tab.problems.clear()
    tab.call("Page.navigate", url=f"{site.url}/desk" + (f"#token={token}" if token else ""))
    tab.wait_for(shown, WAIT_S)


def press(tab: Tab, selector: str) -> None:
    """Focuses a control, once it can be used, and presses Enter: no mouse is needed anywhere."""
    tab.wait_for(IS_READY.replace("NAME", json.dumps(selector)), WAIT_S)
    tab.look(f"document.querySelector({json.dumps(selector)}).focus()")
    tab.press("Enter")


def told(tab: Tab, words: str) -> None:
    tab.wait_for(f"document.getElementById('desk-told').textContent.includes({json.dumps(words)})", WAIT_S)


def test_a_person_answers_with_approved_words_from_the_list_to_the_close(tab: Tab, site: Running, client: Any) -> None:
    say(client, "human", conversation="first")
    open_desk(tab, site)
    tab.look("document.getElementById('desk-token').focus()")
    tab.write(ADA)
    tab.press("Enter")
    press(tab, "#queue button")
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 1", WAIT_S)
    assert tab.look("document.querySelector('#search').hidden") is True  # nothing is said before it is claimed
    press(tab, "#claim")
    told(tab, "It is yours")
    assert tab.look("document.activeElement.id") == "search-words"
    tab.write("hours")
    tab.press("Enter")
    press(tab, "#possible [data-response=hours]")
    told(tab, "Said: We are open from nine to five.")
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 2", WAIT_S)
    evidence = tab.look("document.querySelector('[data-place=\"1.1\"]').textContent")
    assert "Ada said hours" in evidence
    assert "sha256:" in evidence
    say(client, "hours", conversation="first")  # the customer writes: it is seen without a reload
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 3", WAIT_S)
    press(tab, "#close")
    told(tab, "It is closed.")
    assert next(one for one in queue(client, BOB) if one["conversation"] == "first")["state"] == "closed"
    assert tab.problems == []


def test_who_comes_is_told_and_what_another_has_is_not_mine(tab: Tab, site: Running, client: Any) -> None:
    open_desk(tab, site, ADA)
    tab.look("{ const one = document.getElementById('queue-state'); one.value = ''; one.dispatchEvent(new Event('change')); }")
    say(client, "human", conversation="second")
    tab.wait_for("[...document.querySelectorAll('#queue button')].some((one) => one.textContent.includes('second'))", WAIT_S)
    name = next(one["id"] for one in queue(client) if one["conversation"] == "second")
    press(tab, f"[data-handover='{name}']")
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 1", WAIT_S)
    post(client, "claim", name, BOB)
    tab.wait_for(f"document.querySelector(\"[data-handover='{name}']\").textContent.includes('claimed by Bob')", WAIT_S)
    press(tab, "#claim")
    told(tab, "Bob has claimed")
    tab.problems.clear()  # the browser tells every 409
    post(client, "takeover", name, BOB, channel="phone")
    tab.wait_for(f"document.querySelector(\"[data-handover='{name}']\").textContent.includes('taken over by phone')", WAIT_S)
    assert tab.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_desk_is_accessible(tab: Tab, site: Running, client: Any, scheme: str) -> None:
    """No serious finding of axe-core in what a person at the desk sees."""
    tab.scheme(scheme)
    open_desk(tab, site)
    assert tab.findings() == []
    say(client, "human", conversation=f"seen-{scheme}")
    name = next(one["id"] for one in queue(client) if one["conversation"] == f"seen-{scheme}")
    open_desk(tab, site, ADA)
    press(tab, f"[data-handover='{name}']")
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 1", WAIT_S)
    press(tab, "#claim")
    told(tab, "It is yours")
    tab.write("hours")
    tab.press("Enter")
    tab.wait_for("document.querySelector('#possible [data-response=hours]')", WAIT_S)
    assert tab.findings() == []


HOSTILE = "<img src=x onerror='document.title=1'>"


def test_what_a_customer_writes_is_text_and_a_phone_shows_all_of_it(tab: Tab, site: Running, client: Any) -> None:
    say(client, "human", conversation="third")
    say(client, HOSTILE, conversation="third")
    name = next(one["id"] for one in queue(client) if one["conversation"] == "third")
    width, height = PHONE
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
    open_desk(tab, site, ADA)
    press(tab, f"[data-handover='{name}']")
    tab.wait_for("document.querySelectorAll('#transcript > li').length === 2", WAIT_S)
    assert HOSTILE in tab.look("document.getElementById('transcript').textContent")
    assert tab.look("document.title") == "Constrained: the desk"
    assert tab.look("document.documentElement.scrollWidth <= innerWidth") is True
    named = (
        "[...document.querySelectorAll('button, input, select')].filter((one) => !(one.textContent.trim() || one.labels?.length)).length"
    )
    assert tab.look(named) == 0
    assert tab.problems == []
    assert CHANNEL not in tab.look("document.documentElement.outerHTML")
