"""What models score beside the clicks, on the page, and who of them is in charge."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from clickwarden.detection.lineup import Lineup
from clickwarden.models import artefact
from clickwarden.models.pipeline import Pipeline
from tests.browser.look import (
    HOSTILE,
    RECORDS,
    SHOWN,
    Scheme,
    address,
    nothing_wrong,
    scrolls_sideways,
)
from tests.pipelines import appoint, days, define, payments, put, train
from tests.site import Site

#: A change is asked of the worker, which asks Kafka; then the page asks again.
IN_FORCE = 2 * RECORDS
LOOKS: list[tuple[int, Scheme]] = [(1280, "light"), (375, "light"), (1280, "dark"), (375, "dark")]


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    """A site whose workers score a pipeline, in two partitions."""
    made = Site(kafka, tmp_path, partitions=2, pipelines=str(tmp_path / "payments"), checkpoint_interval=0.5)
    yield made
    made.close()


@pytest.fixture
def pipeline(site: Site, tmp_path: Path) -> Pipeline:
    """The pipeline, not yet with a model."""
    return define(tmp_path / "payments", site.settings.clicks_topic.replace("clicks", "payments"))


def test_a_pipeline_says_what_it_watches_what_it_alarms_and_who_is_in_charge(
    site: Site, pipeline: Pipeline, browser: Browser
) -> None:
    first = train(pipeline)
    worker = site.start()
    second = train(pipeline, seed=2)
    put(site.settings, pipeline, second)
    put(site.settings, pipeline, "0123456789ab", artefact.packed(pipeline)[:-100])
    appoint(site.settings, pipeline, Lineup(first, (second,)), what=HOSTILE, who=HOSTILE, why=HOSTILE)

    def in_force() -> bool:
        (found,) = worker.ask("/api/v1/pipelines")[1]
        return found["edition"] == 2 and not found["waiting"]

    site.until(in_force, worker)
    part = payments(3_000)
    site.send(*part[:1500], topic=pipeline.topic, partition=0)
    site.send(*part[1500:], topic=pipeline.topic, partition=1)
    site.until(lambda: not site.behind(pipeline.topic), worker)

    def settled() -> Any:
        (found,) = worker.ask("/api/v1/pipelines")[1]
        return found["scored"] > 2_900 and found["alarms_of_day"] == found["alarms"] and found

    found = site.until(settled, worker)
    assert (found["budget"], found["day_is_kept"], found["edition"]) == (2000, True, 2)
    assert [(model["version"], model["role"]) for model in found["models"]] == [
        (first, "champion"),
        (second, "challenger"),
        ("0123456789ab", ""),
    ]
    for width, scheme in LOOKS:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        with nothing_wrong(page):
            page.goto(address(worker, "pipelines"))
            card = page.locator("#pipeline-payments")
            expect(card).to_contain_text(f"Records of the topic {pipeline.topic}", timeout=RECORDS)
            expect(card).to_contain_text("held against what its card did before, by 10 features")
            expect(card).to_contain_text(f"{found['scored']:,}")
            expect(card.get_by_role("link", name=f"{found['alarms']} alarms")).to_be_visible()
            expect(card).to_contain_text("the budget is 2,000")
            expect(card.get_by_role("img", name="of the budget 2,000")).to_be_visible()
            champion, challenger, refused = card.locator("tbody tr").all()
            expect(refused).to_contain_text("is refused: is cut off, or none of ours")
            expect(refused.get_by_role("button")).to_have_count(0)
            expect(champion).to_contain_text(re.compile(f"{first}.*champion.*iforest"))
            expect(challenger).to_contain_text(re.compile(f"{second}.*challenger.*%.*that the champion does"))
            expect(card.locator(".changes li")).to_have_count(2)
            expect(card.locator(".changes li").first).to_contain_text(f"{SHOWN} — {SHOWN}")
            expect(card).to_contain_text("In force in all 2 partitions")
            assert page.locator("img[src=x], script:not([src])").count() == 0
            assert not scrolls_sideways(page), width
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        page.close()


def test_a_pipeline_says_why_its_records_wait(site: Site, pipeline: Pipeline, page: Page) -> None:
    worker = site.launch()
    site.until(lambda: "Worker ready" in worker.log and worker.state == "blind", worker)
    site.send(*payments(20), topic=pipeline.topic)
    with nothing_wrong(page):
        page.goto(address(worker, "pipelines#pipeline-payments"))
        card = page.locator("#pipeline-payments")
        expect(card.locator(".warning")).to_contain_text("payments has no model", timeout=RECORDS)
        expect(card).to_contain_text("no record yet")


def test_a_pipeline_with_no_history_says_that_it_learns_and_then_that_it_is_online(
    site: Site, tmp_path: Path, page: Page
) -> None:
    topic = site.settings.clicks_topic.replace("clicks", "payments")
    define(tmp_path / "payments", topic, detector="online")
    worker = site.start()
    site.send(*payments(100), topic=topic, partition=0)
    site.send(*payments(600, seed=1), topic=topic, partition=1)
    site.until(lambda: not site.behind(topic), worker)
    with nothing_wrong(page):
        page.goto(address(worker))
        expect(page.locator("#headline")).to_have_text("Quiet, as far as can be seen", timeout=RECORDS)
        expect(page.locator("#story")).to_contain_text("pipeline payments learns what is usual")
        page.goto(address(worker, "pipelines"))
        note = page.locator("#pipeline-payments .online")
        expect(note).to_contain_text("learning", timeout=RECORDS)
        expect(note).to_contain_text("more came in partition 0.")
        site.send(*payments(200, seed=2), topic=topic, partition=0)
        expect(note).to_contain_text("online", timeout=RECORDS)
        expect(note).to_contain_text("Each record is judged by those before it.")
    assert not scrolls_sideways(page)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_where_no_topic_is_scored_the_page_says_how_to_have_one(
    kafka: str, tmp_path: Path, browser: Browser
) -> None:
    plain = Site(kafka, tmp_path, partitions=1)
    try:
        worker = plain.start()
        for width, scheme in LOOKS:
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            with nothing_wrong(page):
                page.goto(address(worker))
                page.get_by_role("navigation", name="Views").get_by_role("link", name="Pipelines").click()
                expect(page.locator("#none")).to_contain_text("No topic is scored", timeout=RECORDS)
                expect(page.locator("#none")).to_contain_text("CLICKWARDEN_PIPELINES=pipelines/fraud")
                assert not scrolls_sideways(page), width
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            page.close()
    finally:
        plain.close()


def test_a_model_is_promoted_by_keyboard_and_rolled_back_and_who_is_second_decides_anew(
    site: Site, pipeline: Pipeline, page: Page
) -> None:
    second, content = train(pipeline, seed=2), artefact.packed(pipeline)
    first = train(pipeline)
    worker = site.start()
    put(site.settings, pipeline, second, content)
    card, done, dialog = (
        page.locator("#pipeline-payments"),
        page.locator("#revised"),
        page.get_by_role("dialog"),
    )
    with nothing_wrong(page):
        page.goto(address(worker, "pipelines"))
        button = card.get_by_role("button", name=f"Promote {second}")
        expect(button).to_be_visible(timeout=RECORDS)
        expect(card.get_by_role("button", name="Promote")).to_have_count(1)
        expect(card.get_by_role("button", name="Roll back")).to_have_count(0)
        button.focus()
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text(f"{first} is in charge of payments now, and leaves")
        expect(page.get_by_label("Why")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()  # a reason is wanted
        page.get_by_label("Why").fill(HOSTILE.replace("\n", ""))
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden(timeout=RECORDS)
        expect(done).to_be_focused()
        expect(done).to_contain_text(f"Change 2 of payments: promote {second}.")
        expect(done).to_contain_text("In force in all 2 partitions", timeout=IN_FORCE)
        expect(card.locator("tbody tr").first).to_contain_text(re.compile(f"{second}.*champion"))
        newest = card.locator(".changes li").first
        expect(newest).to_contain_text(f"promote {second} — {SHOWN.replace('U+000A', '')}")
        expect(newest).to_contain_text("the page of one, from 127.0.0.1")
        assert page.locator("img[src=x], script:not([src])").count() == 0

    # Somebody else changes it while the form is open.
    card.get_by_role("button", name=f"Roll back payments to {first}").click()
    expect(dialog).to_contain_text(f"{second} is in charge of payments now")
    appoint(site.settings, pipeline, Lineup(first, (second,)), what="back", who="<i>eve</i>")
    page.get_by_label("Why").fill("false alarms")
    dialog.get_by_role("button", name="Roll back").click()
    fault = page.locator("#appointment-fault")
    expect(fault).to_contain_text("<i>eve</i> was first, and has changed the models", timeout=RECORDS)
    expect(dialog).to_contain_text(f"{first} is in charge of payments now")
    expect(dialog.get_by_role("heading")).to_have_text(f"Roll back payments to {second}")
    expect(page.get_by_label("Why")).to_have_value("false alarms")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    page.get_by_role("button", name="Cancel").click()
    # And no worker.
    card.get_by_role("button", name=f"Promote {second}").click()
    page.get_by_label("Why").fill("w")
    worker.kill()
    dialog.get_by_role("button", name="Promote").click()
    expect(fault).to_contain_text("No connection to the worker", timeout=RECORDS)
    expect(dialog.get_by_role("button", name="Promote")).to_be_enabled()


def test_days_that_drift_and_what_labels_say_are_on_the_card(
    site: Site, pipeline: Pipeline, browser: Browser
) -> None:
    train(pipeline, values=days(3, 9, first=-4))
    worker = site.start()
    for partition, seed in enumerate((1, 4)):
        log = [*days(3, seed), *days(1, seed + 1, 3, usual=5), *days(1, seed + 2, 4)[:60]]
        site.send(*log, topic=pipeline.topic, partition=partition)
    site.until(lambda: not site.behind(pipeline.topic), worker)
    site.until(lambda: len(worker.ask("/api/v1/pipelines")[1][0]["days"]) == 2, worker)
    found = worker.ask("/api/v1/anomalies?pipeline=payments&limit=50")[1]["anomalies"]
    told = [each["scored"]["record_id"] for each in found if each["scored"]][:8]
    for place, name in enumerate(told):
        value = json.dumps({"label": int(place < 6)}).encode()
        site.send(value, topic=str(pipeline.labels), key=name.encode())
    site.until(lambda: (worker.ask("/api/v1/pipelines")[1][0]["labelled"] or {}).get("abnormal") == 6, worker)
    for width, scheme in LOOKS:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        with nothing_wrong(page):
            page.goto(address(worker, "pipelines"))
            card = page.locator("#pipeline-payments")
            rows = card.get_by_role("region", name="Days of").locator("tbody tr")
            expect(rows).to_have_count(2, timeout=RECORDS)
            last, first = rows.all()
            expect(last).to_contain_text("drifted")
            expect(last).to_contain_text("in 2 of 2 partitions")
            expect(last.locator("strong").first).to_contain_text("amount")
            expect(first).to_contain_text("as learnt")
            expect(first).to_contain_text("expected")
            expect(card).to_contain_text(re.compile(r"Right alarms\s*75 %\s*of 8 alarms with a label"))
            expect(card).to_contain_text(re.compile(r"Found\s*100 %\s*of 6 records labelled abnormal"))
            expect(card).to_contain_text("99 of 100 records within")
            assert not scrolls_sideways(page), width
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        with nothing_wrong(page):
            page.goto(address(worker, "history?kind=drift"))
            drifts = page.locator("#anomalies > li")
            expect(drifts).to_have_count(2, timeout=RECORDS)
            expect(drifts.first).to_contain_text("features drifted")
            expect(drifts.first.locator(".aside")).to_have_text("drift")
        page.close()
