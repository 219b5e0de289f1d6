"""A user, the history, the rules; the login; and what all views have to stand."""

import re
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.browser.look import (
    HOSTILE,
    RECORDS,
    SHOWN,
    VIEWS,
    Scheme,
    T,
    address,
    anomaly,
    nothing_wrong,
    publish,
    scrolls_sideways,
    show,
)
from tests.site import Site, click, clicks


def test_a_user_known_or_not(site: Site, page: Page) -> None:
    worker = site.start()
    start = int(time.time()) // 60 * 60 - 120
    site.send(*clicks("bot/1 2", 80, start, start + 8, "buy"), *clicks("close", 40, start + 60, start + 70))
    site.send(click("a shopper", start + 140))
    with nothing_wrong(page):
        page.goto(address(worker))
        page.get_by_role("searchbox", name="Find a user").fill("bot/1 2")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/user\?id=bot"))
        expect(page.locator("#headline")).to_have_text("bot/1 2")
        expect(page.locator("#story")).to_contain_text("80 clicks in a window of 60 s", timeout=RECORDS)
        expect(page.locator("#windows > li")).to_have_count(1)
        expect(page.locator("#windows > li")).to_contain_text("56–80, 1.6× of 50")
        expect(page.locator("#events li")).to_have_text(re.compile("buy"))
        expect(page.locator("#incidents > li")).to_have_count(1)
        expect(page.locator("#counterfactual")).to_contain_text("fewer")

        page.goto(address(worker, "user?id=close"))
        expect(page.locator("#windows .status")).to_have_text("below", timeout=RECORDS)
        expect(page.locator("#counterfactual")).to_be_hidden()
        page.goto(address(worker, "user?id=nobody"))
        expect(page.locator("#story")).to_contain_text("Nothing known")
        expect(page.locator("#windows-section")).to_be_hidden()
        page.goto(address(worker, "user"))
        expect(page.locator("#find")).to_be_focused()


def test_history_is_filtered_paged_and_exported(site: Site, page: Page) -> None:
    worker = site.start()
    found = [anomaly(f"user-{number}", "closed", T + 60 * number) for number in range(70)]
    found[-1].distinct = "product_id"
    stuffing = anomaly("=cmd|' /C calc'!A0", "closed", T, rule="stuffing", category="credential_stuffing")
    show(site, worker, *found, stuffing)
    rows = page.locator("#anomalies > li")
    with nothing_wrong(page):
        page.goto(address(worker, "history"))
        expect(page.locator("#shown")).to_have_text("50 of 71 anomalies", timeout=RECORDS)
        # India and Nepal differ by 15 minutes: the reader's own zone, and UTC beside it.
        expect(rows.first).to_contain_text("19:21:00 – 19:22:00")
        expect(rows.first).to_contain_text("13:36:00 – 13:37:00 UTC")
        # Words and picture say what the rule counts.
        expect(rows.first).to_contain_text("different values of product_id")
        named = "1,200–1,234 different values of product_id, threshold 50: certain"
        expect(rows.first.get_by_role("img", name=named)).to_be_visible()
        expect(rows.nth(1).get_by_role("img", name="1,200–1,234 clicks, threshold 50")).to_be_visible()
        newest = rows.locator(".user").all_text_contents()
        page.get_by_role("link", name="Older").click()
        expect(rows).to_have_count(21)
        assert not set(newest) & set(rows.locator(".user").all_text_contents())
        expect(page.get_by_role("link", name="Older")).to_be_hidden()
        page.get_by_role("link", name="Newest").click()
        expect(rows).to_have_count(50)

        page.get_by_label("User", exact=True).fill("user-7")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(address(worker, "history?user=user-7"))
        expect(rows).to_have_count(1)
        expect(page.get_by_label("User", exact=True)).to_have_value("user-7")
        exported = page.request.get(page.locator("#ndjson").evaluate("link => link.href"))
        assert [msgspec.json.decode(line)["user_id"] for line in exported.body().splitlines()] == ["user-7"]

        page.get_by_role("link", name="Clear").click()
        page.get_by_label("Category").select_option("credential stuffing")
        page.get_by_role("button", name="Filter").click()
        expect(rows).to_have_count(1)
        exported = page.request.get(page.locator("#csv").evaluate("link => link.href"))
        assert "'=cmd|" in exported.text()

        page.go_back()
        expect(rows).to_have_count(50)
        expect(page.get_by_label("Category")).to_have_value("")
        page.get_by_label("From").fill("2020-09-13T18:20:30")  # in Nepal
        page.get_by_label("To", exact=True).fill("2020-09-13T18:22:00")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(re.compile("since=2020-09-13T12%3A35%3A30.000Z"))
        expect(rows).to_have_count(2)
        expect(page.get_by_label("From")).to_have_value("2020-09-13T18:20:30")

        page.goto(address(worker, "history?status=ongoing"))
        expect(page.locator("#empty")).to_contain_text("Nothing like this was found")

        publish(site, anomaly("user-7", "corrected", T + 420, count=1240, count_high=1240, revision=1))
        page.get_by_label("Status").select_option("corrected")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(address(worker, "history?status=corrected"))
        expect(page.get_by_label("Status")).to_have_value("corrected")
        # Read again: nothing on this view tells of news.
        site.until(lambda: worker.ask("/api/v1/anomalies?status=corrected")[1]["total"], worker)
        page.reload()
        expect(rows).to_have_count(1)
        expect(rows.locator(".status")).to_have_text("corrected")
        expect(rows).to_contain_text("with late clicks")
        expect(rows.locator(".count strong")).to_have_text("1,240")


def test_rules_say_what_is_watched_and_who_comes_close(site: Site, page: Page) -> None:
    worker = site.start()
    start = int(time.time()) // 60 * 60
    publish(site, anomaly("somebody", "closed"))
    site.send(*clicks("close", 45, start, start + 1))
    with nothing_wrong(page):
        page.goto(address(worker, "rules#bot"))
        rule = page.locator("#rules > li")
        expect(rule.locator("h2")).to_contain_text("More than 50 clicks in 1 minute")
        expect(rule.get_by_role("link", name="1 anomaly known")).to_be_visible(timeout=RECORDS)
        expect(rule.locator(".closest li")).to_contain_text("90 %", timeout=RECORDS)
        expect(rule.get_by_role("img", name="45 clicks, 90 % of the threshold 50")).to_be_visible()


def test_hostile_ids_are_text(site: Site, page: Page) -> None:
    worker = site.start()
    ids = {
        HOSTILE: SHOWN,
        "😀" * 256: "😀" * 256,
        "\u3164": "U+3164",
        " ": "U+0020",
        "a'b\"c\\d/../e?f#g%00": "a'b\"c\\d/../e?f#g%00",
        "__proto__": "__proto__",
    }
    for user in ids:
        more: dict[str, Any] = {
            "reasons": [user],
            "events": {user[:64]: 3},
            "rule": "<b>",
            "category": "x' y",
        }
        publish(site, anomaly(user, **more), anomaly(user, "closed", T - 60, **more))
    publish(site, b"not JSON", b"[]", b"{}", b'{"alert_id": 7}', b"\xff", b"")
    with nothing_wrong(page):
        for view, rows, count in (
            ("", "#incidents > li", 6),
            ("", "#log > li", 12),
            ("history", "#anomalies > li", 12),
        ):
            page.goto(address(worker, view))
            expect(page.locator(rows)).to_have_count(count, timeout=RECORDS)
            assert {*page.locator(f"{rows} .user").all_text_contents()} == {*ids.values()}
        for user, shown in ids.items():
            page.goto(address(worker, f"user?{urlencode({'id': user})}"))
            expect(page.locator("#headline")).to_have_text(shown)
            expect(page.locator("#windows > li")).to_have_count(2)
            expect(page.locator("#events .number")).to_have_text("6")
        assert page.locator("img[src=x], script:not([src])").count() == 0


def test_every_view_on_a_phone_and_in_the_dark(site: Site, browser: Browser) -> None:
    worker = site.start()
    show(site, worker, anomaly("W" * 256), anomaly(HOSTILE, "closed", T + 60), anomaly("somebody", "closed"))
    looks: list[tuple[int, Scheme]] = [(375, "light"), (375, "dark"), (1280, "dark")]
    for width, scheme in looks:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        with nothing_wrong(page):
            for view in VIEWS:
                page.goto(address(worker, view))
                expect(page.locator("#link")).to_have_text("Live", timeout=RECORDS)
                shown = page.locator("#log > li, #windows > li, #anomalies > li, #rules > li").first
                nothing = page.get_by_text(re.compile("Nobody is allowed|No topic is scored"))
                expect(shown.or_(nothing)).to_be_visible()
                assert not scrolls_sideways(page), (width, view)
                background = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (max(map(int, re.findall(r"\d+", background))) < 50) == (scheme == "dark")
        page.close()


def test_a_token_guards_it(site: Site, page: Page) -> None:
    worker = site.start(web_token="let me in")
    guarded = ("status", "anomalies", "anomalies.csv", "now", "rules", "users/me", "stream")
    for path in (*(f"api/v1/{name}" for name in guarded), "table/", "router/", "table/activity/nobody/"):
        assert page.request.get(address(worker, path)).status == 401

    page.goto(address(worker))
    expect(page).to_have_url(address(worker, "login"))
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_label("Token").fill("let me guess")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    page.get_by_label("Token").fill("let me in")
    page.get_by_role("button").click()
    expect(page.locator("#headline")).to_have_text("All quiet")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert "let me in" not in str(cookie) + worker.log
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("fetch('https://example.invalid')")
    page.goto(address(worker, "rules"))
    page.context.clear_cookies()
    expect(page).to_have_url(address(worker, "login"), timeout=RECORDS)
