"""The page in a real Chromium, served by a real worker on a real Kafka."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import msgspec
import pytest
from playwright.sync_api import Browser, Error, Page, expect

from app.records import Anomaly, isotime
from tests.integration.worker import Site, Worker, click, clicks

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e'\"&amp;\n\0\u200b😀"
#: How the page writes it.
SHOWN = "<img src=x onerror=alert(1)><script>alert(2)</script>U+202E'\"&amp;U+000AU+0000U+200B😀"
T = 1_600_000_020  # start of a window of 60 s
RECORDS = 10_000  # milliseconds from a record in Kafka to the page, on a busy machine


def address(worker: Worker) -> str:
    return f"http://127.0.0.1:{worker.settings.web_port}/"


@contextmanager
def nothing_wrong(page: Page) -> Iterator[None]:
    """No script of an attacker runs, the policy holds, and nothing fails."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    yield
    assert wrong == []


def anomaly(user_id: str, status: str = "ongoing", start: int = T) -> Anomaly:
    return Anomaly(
        alert_id=f"{user_id}-{start}",
        rule="bot",
        status=status,  # type: ignore[arg-type]
        user_id=user_id,
        window_start=isotime(start),
        window_end=isotime(start + 60),
        count=1234,
        count_low=1200,
        count_high=1234,
        threshold=50,
        first_seen=isotime(start + 1),
        last_seen=isotime(start + 2.5),
        events={"view": 1000, "<b>buy</b>": 200},
        distinct_products=7,
        category="bot",
        owasp="OAT-003",
        reasons=["because", "<i>it</i> is so"],
        partition=1,
        emitted_at=isotime(start + 3),
        worker="another worker",
    )


def publish(site: Site, *values: bytes) -> None:
    """Put records into the anomalies topic, on a partition that is not the clicks'."""
    producer = site.producer()
    for value in values:
        producer.produce(site.settings.anomalies_topic, value, key=uuid4().bytes, partition=0)
    assert producer.flush(10) == 0


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_an_attack_from_the_first_click_to_the_closed_window(site: Site, page: Page) -> None:
    worker = site.start()
    start = int(time.time()) // 60 * 60 - 60
    rows = page.locator("#anomalies tbody tr")
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text("Quiet")
        expect(page.locator("#empty")).to_be_visible()
        expect(page.locator("#anomalies")).to_be_hidden()

        site.send(*clicks(HOSTILE, 80, start, start + 8), b"not JSON", None)
        expect(page.locator("#headline")).to_have_text("1 anomaly ongoing", timeout=RECORDS)
        expect(page.locator("#story bdi")).to_have_text(SHOWN)
        expect(page.locator("#empty")).to_be_hidden()
        expect(rows).to_have_count(1)
        expect(rows.locator("[data-field=status]")).to_have_text("ongoing")
        expect(rows.locator("[data-field=user]")).to_have_text(SHOWN)
        expect(rows.locator("[data-field=count]")).to_have_text("51")

        site.send(click("a shopper", start + 70), click("who is late", start))
        expect(rows.locator("[data-field=status]")).to_have_text("closed", timeout=RECORDS)
        expect(rows).to_have_count(1)
        expect(rows.locator("[data-field=count]")).to_have_text("80")
        # Counted exactly from the 25th click on, half the threshold.
        expect(rows.locator("[data-field=interval]")).to_have_text("56 to 80")
        expect(page.locator("#headline")).to_have_text("Quiet")

        for name, count in {"accepted": 81, "late": 1, "rejected": 1, "ignored": 1, "lost": 0}.items():
            expect(page.locator(f"#{name}")).to_have_text(str(count))
        expect(page.locator("#why-rejected")).to_have_text("not_json 1")
        assert page.locator("img[src=x]").count() == 0

    activity = page.request.get(page.locator("[data-field=activity]").evaluate("link => link.href"))
    assert activity.json()["user_id"] == HOSTILE
    assert page.request.get(address(worker) + "table/activity/nobody/").status == 404

    worker.terminate()
    expect(page.locator("#headline")).to_have_text("No connection to the worker", timeout=RECORDS)


def test_it_is_read_on_any_screen_by_anyone(site: Site, browser: Browser) -> None:
    worker = site.start()
    good = [anomaly("W" * 256), anomaly(HOSTILE, "closed", T + 60)]
    newer = msgspec.to_builtins(anomaly("from a newer version")) | {"version": 2, "more": {"of": "it"}}
    broken = [b"not JSON", b"[]", b"{}", b'{"alert_id": 7}', b"\xff", b""]
    publish(site, *broken, *map(msgspec.json.encode, [*good, newer]), *broken)

    phone = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True)
    with nothing_wrong(phone):
        phone.goto(address(worker))
        expect(phone.locator("#anomalies tbody tr")).to_have_count(3, timeout=RECORDS)
        expect(phone.locator("#headline")).to_have_text("2 anomalies ongoing")
        for summary in phone.locator("summary").all():
            summary.click()
        expect(phone.locator("[data-field=full-user]").first).to_be_visible()
        assert not scrolls_sideways(phone)
    phone.close()

    dark = browser.new_page(
        viewport={"width": 1280, "height": 900}, color_scheme="dark", timezone_id="Asia/Kathmandu"
    )
    with nothing_wrong(dark):
        dark.goto(address(worker))
        closed = dark.locator("#anomalies tbody tr", has_text="closed")
        # India and Nepal differ by 15 minutes: the reader's own zone, and UTC beside it.
        expect(closed.locator("[data-field=window]")).to_contain_text("18:13:00 – 18:14:00")
        expect(closed.locator("[data-field=utc]")).to_contain_text("12:28:00 – 12:29:00 UTC")
        background = dark.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", background))) < 50
        assert not scrolls_sideways(dark)

        details = closed.locator("details")
        while not details.locator("summary").evaluate("summary => summary === document.activeElement"):
            dark.keyboard.press("Tab")
        dark.keyboard.press("Enter")
        expect(details.locator("[data-field=events]")).to_have_text("view 1,000, <b>buy</b> 200")
        expect(details.locator("[data-field=found]")).to_contain_text("by another worker, partition 1")
        # What the page learns meanwhile neither closes what is open nor takes the focus.
        publish(site, msgspec.json.encode(anomaly("one more")))
        expect(dark.locator("#anomalies tbody tr")).to_have_count(4, timeout=RECORDS)
        expect(details).to_have_attribute("open", "")
        assert details.locator("summary").evaluate("summary => summary === document.activeElement")


def test_a_token_guards_it(site: Site, page: Page) -> None:
    worker = site.start(web_token="let me in")
    for path in ("api/v1/status", "api/v1/anomalies", "table/", "router/", "table/activity/nobody/"):
        assert page.request.get(address(worker) + path).status == 401

    page.goto(address(worker))
    expect(page).to_have_url(address(worker) + "login")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_label("Token").fill("let me guess")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    page.get_by_label("Token").fill("let me in")
    page.get_by_role("button").click()
    expect(page.locator("#headline")).to_have_text("Quiet")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert "let me in" not in str(cookie) + worker.log
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("fetch('https://example.invalid')")
