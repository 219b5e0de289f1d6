"""A record that a pipeline's model found abnormal, and why, on the page."""

import re
from pathlib import Path
from typing import Any

import msgspec
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from clickwarden.detection.anomaly import Cause, ScoredRecord
from tests.browser.look import (
    HOSTILE,
    RECORDS,
    SHOWN,
    Scheme,
    T,
    address,
    anomaly,
    nothing_wrong,
    scrolls_sideways,
    show,
)
from tests.pipelines import define
from tests.site import Site

CAUSES = (
    Cause("amount.ratio.1h", 86.24, (0.109, 0.693, 1.758), 0.2, 21.5, 4.25, 17.0, "24h"),
    Cause(HOSTILE, None, (1.0, 1.0, 1.0), 0.05),
    Cause("count", 12_345.6, (0.0, 20_000.0, 30_000.0), -0.01),
)


def scored(key: str, start: int = T, version: str = "461ec8cb3a6c", **more: Any) -> Any:
    """An anomaly of a pipeline."""
    about: dict[str, Any] = {
        "pipeline": "payments", "topic": "transactions", "offset": 1849, "record_id": HOSTILE, "score": 0.7,
        "p_value": 0.00025, "threshold": 0.6, "causes": CAUSES, "detector": "iforest", "version": version,
        "severity": "high",
    }  # fmt: skip
    given: dict[str, Any] = {
        "rule": "pipeline/payments", "category": "learned", "owasp": "", "count": 1, "count_low": 1,
        "count_high": 1, "threshold": 1, "events": {}, "distinct_products": 0,
        "scored": ScoredRecord(**about),
    }  # fmt: skip
    return anomaly(key, "closed", start, **given | more)


def test_a_record_says_how_abnormal_it_is_and_which_features_did_it(site: Site, browser: Browser) -> None:
    worker = site.start()
    challenged = scored("card-9", T + 60, rule="pipeline/payments/633e38d1053b", shadow=True)
    show(site, worker, scored(HOSTILE), challenged, anomaly("somebody", "closed"))
    looks: list[tuple[int, Scheme]] = [(1280, "light"), (375, "light"), (1280, "dark"), (375, "dark")]
    for width, scheme in looks:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        with nothing_wrong(page):
            page.goto(address(worker, "history"))
            row = page.locator("#anomalies > li", has_text="img src=x")
            expect(row).to_contain_text("threshold 0.6, p 0.00025", timeout=RECORDS)
            row.get_by_role("link", name="Why this record").click()
            expect(page.locator("#headline")).to_have_text(SHOWN, timeout=RECORDS)
            expect(page.locator("#story")).to_contain_text("one in 4,000 usual records scores as high")
            facts = page.locator("#facts")
            expect(facts).to_contain_text(re.compile(r"Score0\.7an anomaly from 0\.6 on.*0\.00025"))
            expect(facts).to_contain_text(re.compile(r"461ec8cb3a6ciforest.*high"))
            expect(facts).to_contain_text(f"{SHOWN}offset 1,849 of partition 1 of transactions")
            first, second, third = page.locator("#causes > li").all()
            expect(first).to_contain_text(re.compile("amount.ratio.1h86.24 above what is usual"))
            expect(first).to_contain_text("Were it 0.693, the score would be 0.5and this no anomaly")
            named = "86.24; usual are 0.109 to 1.758, mostly 0.693"
            expect(first.get_by_role("img", name=named)).to_be_visible()
            own = "of this key, amount in the 24h before: mean 21.5, deviation 4.25, of 17 records"
            expect(first).to_contain_text(own)
            expect(second).to_contain_text(f"{SHOWN}missing")
            expect(second).not_to_contain_text("of this key")
            expect(second).to_contain_text("would be 0.65and this an anomaly all the same")
            expect(third).to_contain_text("12,346 within what is usual")
            expect(third).to_contain_text("the score would be no lower")
            assert page.locator("img[src=x], script:not([src])").count() == 0
            assert not scrolls_sideways(page), width
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        page.close()


def test_what_is_no_record_of_a_pipeline_is_told_so(site: Site, page: Page) -> None:
    worker = site.start()
    challenged = scored("card-9", rule="pipeline/payments/633e38d1053b", shadow=True)
    second = scored("card-7", alert_id="of the same second")
    show(site, worker, challenged, scored("card-7"), second, anomaly("somebody", "closed"))
    assert worker.ask(f"/api/v1/anomalies/{challenged.alert_id}")[1]["scored"]["score"] == 0.7
    assert worker.ask("/api/v1/anomalies/no/such") == (
        404,
        {"error": "GET /api/v1/anomalies/no/such: no anomaly of this id is kept"},
    )
    page.goto(address(worker, f"record?id={challenged.alert_id}"))
    expect(page.locator("#story")).to_contain_text("a challenger: nobody is told", timeout=RECORDS)
    page.goto(address(worker, f"record?id=somebody-{T}"))
    expect(page.locator("#story")).to_contain_text("of rule bot, which counts clicks", timeout=RECORDS)
    expect(page.locator("#causes-section")).to_be_hidden()
    page.goto(address(worker, "record?id=%3Cb%3E"))
    expect(page.locator("#story")).to_contain_text("No anomaly of this id is known", timeout=RECORDS)
    page.goto(address(worker, "record"))
    expect(page.locator("#headline")).to_have_text("Which?")
    page.goto(address(worker, "user?id=card-7"))
    expect(page.locator("#windows > li")).to_have_count(2, timeout=RECORDS)
    # The incident of a pipeline leads to its first record.
    page.goto(address(worker, "user?id=card-9"))
    expect(page.locator("#windows > li")).to_contain_text("threshold 0.6, p 0.00025", timeout=RECORDS)
    incident = page.locator("#incidents > li")
    expect(incident).to_contain_text("1record", timeout=RECORDS)
    incident.get_by_role("link", name="Why this record").click()
    expect(page.locator("#headline")).to_have_text("card-9", timeout=RECORDS)


def test_history_is_filtered_by_pipeline(site: Site, page: Page, tmp_path: Path) -> None:
    define(tmp_path / "payments", site.settings.clicks_topic.replace("clicks", "payments"))
    site.settings = site.settings.model_copy(update={"pipelines": str(tmp_path / "payments")})
    worker = site.launch()
    site.until(lambda: "Worker ready" in worker.log and worker.state == "blind", worker)
    challenged = scored("card-9", T + 60, rule="pipeline/payments/633e38d1053b", shadow=True)
    other = scored("card-7", rule="pipeline/others")
    show(site, worker, scored("card-8"), challenged, other, anomaly("somebody", "closed"))
    rows = page.locator("#anomalies > li")
    with nothing_wrong(page):
        page.goto(address(worker, "history"))
        expect(rows).to_have_count(4, timeout=RECORDS)
        page.get_by_label("Pipeline").select_option("payments")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(address(worker, "history?pipeline=payments"))
        expect(rows).to_have_count(2, timeout=RECORDS)
        expect(page.get_by_label("Pipeline")).to_have_value("payments")
        assert {*rows.locator(".user").all_text_contents()} == {"card-8", "card-9"}
        exported = page.request.get(page.locator("#ndjson").evaluate("link => link.href"))
        assert [msgspec.json.decode(line)["user_id"] for line in exported.body().splitlines()] == [
            "card-9",
            "card-8",
        ]
        page.goto(address(worker, "history?pipeline=%3Cb%3E"))
        expect(page.locator("#empty")).to_contain_text("Nothing like this was found", timeout=RECORDS)
        expect(page.get_by_label("Pipeline")).to_have_value("<b>")
        page.goto(address(worker, "pipelines"))
        page.get_by_role("link", name="alarms").click()
        expect(page).to_have_url(address(worker, "history?pipeline=payments&kind=attack"))
        expect(rows).to_have_count(1, timeout=RECORDS)
    assert worker.ask("/api/v1/incidents?pipeline=payments")[1]["total"] == 2
    assert worker.ask("/api/v1/incidents?pipeline=payments&kind=attack")[1]["total"] == 1
