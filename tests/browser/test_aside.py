"""What a rule in shadow finds, and who is allowed, is shown apart from attacks, in words and shape."""

import os
import re
from typing import get_args

from playwright.sync_api import Browser, Page, expect

from tests.browser.look import (
    RECORDS,
    Scheme,
    T,
    address,
    anomaly,
    nothing_wrong,
    publish,
    scrolls_sideways,
    show,
)
from tests.site import RULES, Site

TRIAL = RULES.replace('name = "bot"', 'name = "trial"') + "shadow = true\n"
VIEWS = ("", "history", "rules", "user?id=mon-1")


def test_what_nobody_is_told_of_is_no_attack_and_shown_apart(site: Site, page: Page) -> None:
    site.settings.rules.write_text(f"{RULES}\n{TRIAL}")
    worker = site.start()
    hidden = anomaly("joe", rule="trial", shadow=True, incident_id="joe", alert_id="joe")
    allowed = anomaly("mon-1", allowed="Our monitors <b>", incident_id="mon-1", alert_id="mon-1")
    show(site, worker, hidden, allowed)
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#verdict")).to_have_attribute("data-state", "quiet", timeout=RECORDS)
        expect(page.locator("#story")).to_contain_text("Of 2 users over a threshold nobody is told")
        expect(page.locator("#attacks")).to_be_hidden()
        expect(page.locator("#aside-incidents > li")).to_have_count(2)
        expect(page.locator("#aside-shown")).to_have_text("2")
        expect(page.locator("#log .aside")).to_have_count(2)
        expect(page.locator("#log .aside").filter(has_text="allowed: Our monitors <b>")).to_have_count(1)
        expect(page.locator("#readout")).to_contain_text("0 anomalies in all · 2 told to nobody")
        mark = page.locator("#log .aside").first.evaluate(
            "node => getComputedStyle(node, '::before').content"
        )
        assert "◇" in mark

        publish(site, anomaly("eve", alert_id="eve", incident_id="eve"))
        expect(page.locator("#headline")).to_have_text("Attack by eve", timeout=RECORDS)
        expect(page.locator("#attacks-shown")).to_have_text("1")
        expect(page.locator("#incidents > li")).to_have_count(1)
        expect(page.locator("#aside-incidents > li")).to_have_count(2)

        page.goto(address(worker, "history"))
        expect(page.locator("#anomalies .aside")).to_have_count(2, timeout=RECORDS)
        for kind, user in (("attack", "eve"), ("shadow", "joe"), ("allowed", "mon-1")):
            page.get_by_label("Told").select_option(kind)
            page.get_by_role("button", name="Filter").click()
            expect(page).to_have_url(re.compile(f"kind={kind}"))
            expect(page.locator("#anomalies .user")).to_have_text([user])
        page.goto(address(worker, "user?id=mon-1"))
        expect(page.locator("#story")).to_contain_text("nobody is told", timeout=RECORDS)
        expect(page.locator("#windows .aside")).to_have_text("allowed: Our monitors <b>")
        expect(page.locator("#incidents .aside")).to_have_text("allowed: Our monitors <b>")
        page.goto(address(worker, "rules"))
        expect(page.locator("#trial .aside")).to_have_text("shadow", timeout=RECORDS)
        expect(page.locator("#trial")).to_contain_text("It would have told of 0 incidents in the last 24 h")
        expect(page.locator("#bot .aside")).to_have_count(0)
    assert worker.ask("/api/v1/now")[1]["verdict"]["state"] == "attack"
    publish(site, anomaly("eve", "closed", alert_id="eve", incident_id="eve"))
    site.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["state"] == "quiet", worker)
    quiet = worker.ask("/api/v1/now")[1]
    assert quiet["verdict"]["text"] == "Quiet: of 2 users over a threshold nobody is told"
    assert (quiet["live_total"], quiet["aside_total"], len(quiet["aside"])) == (0, 2, 2)
    samples = worker.metrics()
    assert {
        'clickwarden_anomalies{kind="attack"} 1.0',
        'clickwarden_anomalies_ongoing{kind="shadow"} 1.0',
    } <= samples


def test_it_fits_a_phone_light_and_dark(site: Site, browser: Browser) -> None:
    site.settings.rules.write_text(f"{RULES}\n{TRIAL}")
    worker = site.start()
    show(
        site,
        worker,
        anomaly("joe", rule="trial", shadow=True, alert_id="joe"),
        anomaly("mon-1", allowed="Our monitors, which look at every page once a minute", alert_id="mon-1"),
        anomaly("eve", alert_id="eve"),
        anomaly("old", "closed", T - 600, allowed="W" * 200, alert_id="old"),
    )
    for scheme in get_args(Scheme):
        for width in (1280, 360):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            for view in VIEWS:
                page.goto(address(worker, view))
                expect(page.locator(".aside:visible").first).to_be_visible(timeout=RECORDS)
                assert not scrolls_sideways(page), (view, width)
                if folder := os.environ.get("PICTURES"):
                    page.screenshot(path=f"{folder}/{view[:7] or 'now'}-{scheme}-{width}.png", full_page=True)
            page.close()
