"""The first view: the verdict, who, how sure, since when, and the watcher."""

import json
import time

import msgspec
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.look import HOSTILE, RECORDS, SHOWN, T, address, anomaly, nothing_wrong, publish
from tests.site import RULES, Site, click, clicks, minute_over

#: Notes the wall clock at each change of the headline, and the alert_ids that the stream brings.
WATCH = """
window.changes = []; window.heard = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() =>
  window.changes.push([Date.now(), document.getElementById("headline").textContent])
).observe(document.getElementById("headline"), { childList: true }));
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, take) {
  listen.call(this, name, (event) => {
    if (name === "anomaly") window.heard.push(JSON.parse(event.data).alert_id);
    take.call(this, event);
  });
};
"""


def figure(page: Page, name: str) -> str:
    return page.locator("#figures div", has=page.get_by_text(name, exact=True)).inner_text().split("\n")[1]


def test_an_attack_from_the_first_click_to_the_closed_window(site: Site, page: Page) -> None:
    worker = site.start()
    start = minute_over()
    headline = page.locator("#headline")
    rows = page.locator("#incidents > li")
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(headline).to_have_text("All quiet")
        expect(page.locator("#empty")).to_be_visible()
        expect(page.locator("#attacks")).to_be_hidden()
        expect(page.locator("#facts .well")).to_contain_text("1 worker on 2 partitions")

        site.send(*clicks(HOSTILE, 80, start, start + 8), b"not JSON", None)
        expect(headline).to_have_text(f"Attack by {SHOWN}", timeout=RECORDS)
        expect(page.locator("#story")).to_contain_text("threshold 50")
        expect(page.locator("#empty")).to_be_hidden()
        expect(rows).to_have_count(1)
        expect(rows.locator(".user")).to_have_text(SHOWN)
        # Counted exactly from the 25th click on, half the threshold; it follows while the window is open.
        expect(rows.locator(".count strong")).to_have_text("80", timeout=RECORDS)
        expect(rows.get_by_role("img", name="56–80 clicks, threshold 50: certain")).to_be_visible()
        expect(page.locator("#announcement")).to_contain_text(f"Attack by {SHOWN}")

        site.send(click("a shopper", start + 70))
        expect(headline).to_have_text("All quiet", timeout=RECORDS)
        site.send(click("who is late", start))
        expect(rows).to_have_count(0)
        expect(page.locator("#log > li")).to_have_count(1)
        expect(page.locator("#log .status")).to_have_text("closed")
        for name, count in {"Accepted": 81, "Late": 1, "Rejected": 1, "Ignored": 1, "Lost": 0}.items():
            page.wait_for_function(
                "([name, count]) => [...document.querySelectorAll('#figures div')]"
                ".some((each) => each.innerText.startsWith(`${name}\\n${count}\\n`))",
                arg=[name, count],
            )
        assert figure(page, "Kafka") == "answers"
        expect(page.locator("#partitions tr")).to_have_count(2)
        assert page.locator("img[src=x]").count() == 0


def test_what_cannot_be_counted_is_said_in_words_shape_and_colour(site: Site, page: Page) -> None:
    worker = site.start()
    headline, panel = page.locator("#headline"), page.locator("#blindness")
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(headline).to_have_text("All quiet")
        expect(panel).to_be_hidden()
        calm = headline.evaluate("(node) => getComputedStyle(node).color")

        site.send(*[json.dumps({"user": HOSTILE, "event": "view", "timestamp": T}).encode()] * 200)
        expect(headline).to_have_text("Blind: nothing that comes can be counted", timeout=RECORDS)
        expect(page).to_have_title("⊘ Blind · Clickwarden")
        expect(page.locator("#story")).to_contain_text("whoever is would not be seen")
        expect(page.locator("#lamp .lamp.blind")).to_be_visible()
        assert headline.evaluate("(node) => getComputedStyle(node).color") != calm
        expect(page.locator("#facts .impaired")).to_contain_text("100 % of the records cannot be counted")
        expect(page.locator("#workers .status.blind")).to_be_visible()
        expect(page.locator("#announcement")).to_contain_text("Blind: nothing that comes can be counted")
        expect(panel).to_contain_text("None of the last 200 records could be counted: missing_field")
        expect(panel).to_contain_text("There is no user_id: did you mean CLICKWARDEN_FIELD_USER_ID=user?")
        expect(panel.locator("#complaint code")).to_contain_text("<img src=x onerror=alert(1)>")
        expect(page.locator("#empty")).to_have_text("Nobody who can be seen has gone over a threshold yet.")

        start = minute_over()
        site.send(*clicks("eve", 100, start, start + 8))
        expect(headline).to_have_text("Attack by eve", timeout=RECORDS)
        expect(panel).to_contain_text("200 of the last 300 records (66 %) could not be counted")
        expect(page.locator("#facts .impaired")).to_contain_text("66 % of the records cannot be counted")

        site.send(*clicks("ann", 40, start, start + 8), *clicks("bob", 40, start, start + 8))
        site.send(*(click(f"user-{number}", start) for number in range(50)), click("joe", start + 70))
        expect(headline).to_have_text("All quiet", timeout=RECORDS)
        expect(panel).to_be_hidden()
        expect(page.locator("#facts .well")).to_be_visible()


def test_a_captured_table_that_does_not_come_is_said(site: Site, page: Page) -> None:
    nowhere = "127.0.0.1:9"
    worker = site.launch(
        connect_url=f"http://{nowhere}", capture_database=f"postgresql://watcher@{nowhere}/shop"
    )
    site.until(lambda: "Worker ready" in worker.log and worker.state == "blind", worker)
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text(
            "Blind: Kafka Connect does not answer; PostgreSQL does not answer"
        )
        expect(page.locator("#lamp .lamp.blind")).to_be_visible()
        expect(page.locator("#blindness")).to_be_hidden()
        expect(page.locator("#warnings .cure").first).to_contain_text("Start it")
        expect(page.locator("#facts .impaired")).to_contain_text("PostgreSQL does not answer")
        expect(page.locator("#captures")).to_be_hidden()


def test_a_worker_that_cannot_read_its_topic_offers_the_settings_that_do(site: Site, page: Page) -> None:
    worker = site.start()
    offered = page.locator("#survey")
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text("All quiet")
        expect(offered).to_be_hidden()
        visits = [
            {"who": {"uid": f"{number % 7}{HOSTILE}"}, "ts": T + number, "verb": "x"} for number in range(90)
        ]
        site.send(*(json.dumps(visit).encode() for visit in visits))
        expect(offered).to_be_visible(timeout=3 * RECORDS)
        expect(offered.locator("#survey-settings")).to_have_text(
            "CLICKWARDEN_FIELD_USER_ID=who.uid\nCLICKWARDEN_FIELD_EVENT=verb\nCLICKWARDEN_FIELD_TIMESTAMP=ts",
            use_inner_text=True,
        )
        expect(offered).to_contain_text("90 clicks in 90 records")
        expect(offered).to_contain_text("<img src=x onerror=alert(1)>")
        expect(offered).to_contain_text("the topic is not keyed by user")
        assert page.locator("img[src=x]").count() == 0

    # Whoever does as it says sees.
    worker.terminate()
    read = {"field_user_id": "who.uid", "field_event": "verb", "field_timestamp": "ts"}
    worker = site.launch("two", **read)
    site.send(*(json.dumps(visit | {"ts": T + 200}).encode() for visit in visits))
    site.until(lambda: worker.ready, worker)
    page.goto(address(worker))
    expect(page.locator("#headline")).not_to_contain_text("Blind", timeout=RECORDS)
    expect(page.locator("#survey")).to_be_hidden()


def test_a_rule_that_nobody_can_break_is_warned_of(site: Site, page: Page) -> None:
    rules = RULES + '[[rule]]\nname = "logins"\nwindow = 60\nthreshold = 15\nevents = ["login"]\n'
    site.settings.rules.write_text(rules)
    worker = site.start()
    start = minute_over()
    page.goto(address(worker))
    expect(page.locator("#warnings")).to_be_hidden()
    site.send(*(click(f"user-{number}", start, "<b>Login</b>") for number in range(200)))
    warning = (
        "Rule logins counts login, and none of 200 clicks has been one; seen were <b>Login</b>; "
        "did you mean <b>Login</b>?"
    )
    expect(page.locator("#warnings .warning")).to_have_text(warning, timeout=RECORDS)
    expect(page.locator("#headline")).to_have_text("All quiet")
    page.goto(address(worker, "rules"))
    expect(page.locator("#rules .warning")).to_have_text(warning, timeout=RECORDS)


def test_the_verdict_changes_within_a_second_of_the_record(site: Site, page: Page) -> None:
    worker = site.start()
    page.add_init_script(WATCH)
    page.goto(address(worker))
    expect(page.locator("#headline")).to_have_text("All quiet")
    delays = []
    for number in range(4):
        for status, words in (("ongoing", f"Attack by user-{number}"), ("closed", "All quiet")):
            changes = page.evaluate("window.changes.length")
            publish(site, anomaly(f"user-{number}", status))
            stored = time.time()
            expect(page.locator("#headline")).to_have_text(words, timeout=RECORDS)
            seen, text = page.evaluate("window.changes")[changes]
            assert text == words
            delays.append(seen / 1000 - stored)
    assert max(delays) < 1, delays


def test_who_has_stopped_inside_a_long_window_is_shown_with_the_last_click(site: Site, page: Page) -> None:
    now = time.time()
    length = next(seconds for seconds in (86_400, 80_000) if now % seconds > 1000)
    site.settings.rules.write_text(RULES.replace("window = 60", f"window = {length}"))
    worker = site.start()
    site.send(*clicks("eve", 60, now - 900, now - 700), click("eve", now - 400))
    with nothing_wrong(page):
        page.goto(address(worker))
        row = page.locator("#incidents > li")
        expect(row.locator(".times")).to_contain_text("last click 6 min ago", timeout=RECORDS)
        expect(row.locator(".times")).to_contain_text("ongoing, 1 window")
        page.goto(address(worker, "user?id=eve"))
        expect(row.locator(".times")).to_contain_text("last click 6 min ago")
        site.send(click("eve", time.time()))
        expect(row.locator(".times")).to_contain_text("last click just now", timeout=RECORDS)


def test_a_correction_is_the_last_word(site: Site, page: Page) -> None:
    worker = site.start()
    row = page.locator("#log > li")
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text("All quiet")
        publish(site, anomaly("eve", "closed"))
        expect(row.locator(".status")).to_have_text("closed", timeout=RECORDS)
        figures = [(1, 1240), (2, 1250), (1, 1240)]
        words = [anomaly("eve", "corrected", count=high, count_high=high, revision=n) for n, high in figures]
        alone = anomaly("bob", "corrected", count=60, count_low=60, count_high=60, revision=1)
        publish(site, *words, anomaly("eve", "closed"), alone)
        expect(row).to_have_count(2, timeout=RECORDS)
        expect(row.locator(".user")).to_have_text(["bob", "eve"])
        expect(row.locator(".status")).to_have_text(["corrected", "corrected"])
        expect(row.locator(".what")).to_contain_text(["60", "1,250"])
        # The word stands in its column, with a mark that no other status has.
        for each in row.locator(".status").all():
            assert each.evaluate("each => each.scrollWidth <= each.clientWidth")
            assert "±" in each.evaluate("each => getComputedStyle(each, '::before').content")
        expect(page.locator("#headline")).to_have_text("All quiet")

        page.reload()
        expect(row.locator(".what")).to_contain_text(["60", "1,250"])
        page.goto(address(worker, "user?id=eve"))
        expect(page.locator("#incidents .times")).to_contain_text("closed, 1 window, corrected")


def test_who_becomes_worse_is_shown_so_until_the_window_closes(site: Site, page: Page) -> None:
    worker = site.start()
    row = page.locator("#log > li")
    with nothing_wrong(page):
        page.goto(address(worker))
        publish(site, anomaly("eve"))
        expect(row).to_contain_text("when it was crossed", timeout=RECORDS)
        worse = anomaly("eve", count=1000, count_low=1000, count_high=1000, revision=3, times=20)
        publish(site, worse, anomaly("eve"))
        expect(row).to_contain_text("at 20 times the threshold", timeout=RECORDS)
        expect(page.locator("#incidents .times")).to_contain_text("ongoing, 1 window, critical severity")
        publish(site, anomaly("eve", "closed", count=1001, count_low=1001, count_high=1001))
        expect(row.locator(".status")).to_have_text("closed", timeout=RECORDS)
        page.goto(address(worker, "user?id=eve"))
        expect(page.locator("#incidents .times")).to_contain_text("closed, 1 window, critical severity")


def test_an_answer_that_knows_more_than_the_stream_has_told(site: Site, page: Page) -> None:
    worker = site.start()
    status = page.locator("#log .status")
    asked: list[Route] = []
    page.route("**/api/v1/anomalies?*", lambda route: asked.append(route))
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text("All quiet")
        publish(site, anomaly("eve", "closed"))
        expect(status).to_have_text("closed", timeout=RECORDS)
        known = msgspec.to_builtins(anomaly("eve", "corrected", revision=1))
        asked[-1].fulfill(json={"state": "live", "anomalies": [known]})
        expect(status).to_have_text("corrected")


def test_the_stream_survives_a_restart_without_loss_or_doubles(site: Site, page: Page) -> None:
    worker = site.start()
    page.add_init_script(WATCH)
    page.goto(address(worker))
    expect(page.locator("#headline")).to_have_text("All quiet")
    before, meanwhile, after = (
        [
            anomaly(f"{when}-{number}", "closed", emitted_at=f"2026-01-01T0{hour}:00:0{number}Z")
            for number in range(4)
        ]
        for hour, when in enumerate(("before", "meanwhile", "after"))
    )
    publish(site, *before)
    expect(page.locator("#log > li")).to_have_count(4, timeout=RECORDS)

    worker.terminate()
    expect(page.locator("#headline")).to_have_text("No connection to the worker", timeout=RECORDS)
    expect(page.locator("#notice")).to_contain_text("It last answered at")
    expect(page.locator("#link")).to_have_text("Disconnected")
    assert page.title().startswith("? Disconnected")
    publish(site, *meanwhile)

    site.start()
    expect(page.locator("#headline")).to_have_text("All quiet", timeout=RECORDS)
    expect(page.locator("#notice")).to_be_hidden()
    publish(site, *after)
    expect(page.locator("#log > li")).to_have_count(12, timeout=RECORDS)
    found = [each.alert_id for each in [*before, *meanwhile, *after]]
    assert page.evaluate("window.heard") == found
    shown = page.locator("#log .user").all_text_contents()
    assert shown == [each.user_id for each in reversed([*before, *meanwhile, *after])]


def test_it_is_used_with_the_keyboard_alone(site: Site, browser: Browser) -> None:
    worker = site.start()
    publish(site, anomaly("one"), anomaly("two", start=T + 60))
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert page.evaluate("(selector) => document.activeElement.matches(selector)", selector), selector
        assert outline == "solid"

    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#incidents > li")).to_have_count(2, timeout=RECORDS)
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.wait_for_function("() => document.getElementById('timeline').ariaValueMax > 0")
        tab_to("#timeline")
        page.keyboard.press("Home")
        first = page.locator("#timeline").get_attribute("aria-valuetext")
        page.keyboard.press("End")
        assert page.locator("#timeline").get_attribute("aria-valuetext") != first
        tab_to("#incidents a")
        focused = page.evaluate("document.activeElement.textContent")
        # What the page learns meanwhile does not take the focus away.
        publish(site, anomaly("three", count=9999, count_low=9999, count_high=9999))
        expect(page.locator("#incidents > li")).to_have_count(3, timeout=RECORDS)
        assert page.evaluate("document.activeElement.textContent") == focused
        page.keyboard.press("Enter")
        expect(page.locator("#headline")).to_have_text(focused)

        tab_to("#find")
        page.keyboard.press("Control+A")
        page.keyboard.type("nobody at all")
        page.keyboard.press("Enter")
        expect(page.locator("#headline")).to_have_text("nobody at all")


def test_a_tab_that_nobody_sees_leaves_its_connection_to_others(site: Site, page: Page) -> None:
    worker = site.start()
    turn = """(hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""

    def listeners() -> int:
        metrics = page.request.get(address(worker, "metrics")).text()
        return int(float(metrics.split("\nclickwarden_listeners ")[1].split("\n")[0]))

    page.goto(address(worker))
    site.until(lambda: listeners() == 1)
    page.evaluate(turn, True)
    site.until(lambda: listeners() == 0)
    publish(site, anomaly("meanwhile"))
    expect(page).to_have_title("◆ 1 attack · Clickwarden", timeout=RECORDS)
    expect(page.locator("#log > li")).to_have_count(0)
    page.evaluate(turn, False)
    expect(page.locator("#log > li")).to_have_count(1, timeout=RECORDS)
    assert listeners() == 1
