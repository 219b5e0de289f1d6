"""The accessibility audit (axe-core) of every view, in every state it has."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.look import (
    HOSTILE,
    RECORDS,
    TESTED_RULES,
    VIEWS,
    Scheme,
    T,
    address,
    anomaly,
    publish,
)
from tests.site import Site


def audit(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_passes(site: Site, browser: Browser, scheme: Scheme) -> None:
    site.settings.rules.write_text(TESTED_RULES)
    worker = site.start()
    for width in (1280, 375):
        page = browser.new_page(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page.goto(address(worker))
        expect(page.locator("#verdict")).to_have_attribute("aria-busy", "false", timeout=RECORDS)
        audit(page)
        if width == 1280:
            site.send(*[b'{"uid": "u", "ts": 1600000020, "verb": "view"}'] * 5)
            expect(page.locator("#survey")).to_be_visible(timeout=3 * RECORDS)
            audit(page)
            likely = anomaly("likely", count=60, count_low=40, count_high=60)
            publish(site, likely, anomaly(HOSTILE), anomaly("somebody", "closed", T - 60))
        expect(page.locator("#incidents > li")).to_have_count(2, timeout=RECORDS)
        expect(page.locator("#log > li")).to_have_count(3)
        audit(page)
        for view in (*VIEWS[1:], "user?id=nobody", "user", "history?user=nobody", "blocked", "login"):
            page.goto(address(worker, view))
            page.wait_for_load_state("networkidle")
            audit(page)
        page.goto(address(worker, "rules"))
        page.get_by_role("button", name="Change rule bot").click()
        page.get_by_role("spinbutton", name="Threshold").fill("60")
        page.get_by_label("Why").fill("w")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#failing")).to_be_visible(timeout=RECORDS)
        audit(page)
        page.close()
    page = browser.new_page(color_scheme=scheme, reduced_motion="reduce")
    page.goto(address(worker))
    expect(page.locator("#incidents > li")).to_have_count(2, timeout=RECORDS)
    worker.terminate()
    expect(page.locator("#link")).to_have_text("Disconnected", timeout=RECORDS)
    audit(page)
