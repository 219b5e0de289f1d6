"""What people say of an incident, on the page of its user and on the page of a message's link."""

import time
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, expect

from clickwarden.channels.links import Links
from clickwarden.channels.secret import Secret
from tests.browser.look import (
    HOSTILE,
    RECORDS,
    T,
    address,
    anomaly,
    nothing_wrong,
    scrolls_sideways,
    show,
)
from tests.site import Site, Worker

SECRET = "s" * 32
#: A channel that is told nothing: links are what it is here for.
CHANNELS = f"""
page = "https://clickwarden.shop.example/"
link_secret = "{SECRET}"

[[channel]]
name = "nobody"
url = "json://127.0.0.1:9/"
categories = ["scraper"]
"""
#: A worker asks Kafka, and then the page asks again.
NOTED = 2 * RECORDS


def said(worker: Worker) -> dict[str, tuple[str | None, str]]:
    known = worker.ask("/api/v1/feedback")[1]["feedback"]
    return {each["user_id"]: (each["verdict"], each["why"]) for each in known}


def link(worker: Worker, incident_id: str) -> str:
    return address(worker, Links("", Secret(SECRET)).link(incident_id, time.time()))


def test_who_was_human_is_said_and_then_allowed_and_nothing_happens_silently(
    site: Site, page: Page, browser: Browser
) -> None:
    (site.folder / "channels.toml").write_text(CHANNELS)
    worker = site.start(channels=site.folder / "channels.toml")
    show(site, worker, anomaly(HOSTILE), anomaly("eve"))
    with nothing_wrong(page):
        page.goto(address(worker, "user?id=eve"))
        page.get_by_role("button", name="Say what it was").click(timeout=RECORDS)
        page.get_by_label("Comment").fill("<i>a fair</i>")
        page.get_by_role("button", name="Human").click()
        expect(page.get_by_role("dialog", name="May they do so again?")).to_be_visible(timeout=NOTED)
        assert said(worker) == {"eve": ("human", "<i>a fair</i>")}
        assert len(worker.ask("/api/v1/rules/history")[1]["changes"]) == 1
        expect(page.get_by_label("Reason")).to_have_value("said to be human: <i>a fair</i>")
        page.get_by_role("button", name="Allow").click()
        noted = page.locator("#noted")
        expect(noted).to_contain_text("Change 2: allow user eve until", timeout=NOTED)
        expect(noted).to_be_focused()
        row = page.locator("#incidents > li")
        expect(row).to_contain_text("<i>a fair</i>", timeout=RECORDS)
        expect(row.locator(".aside")).to_have_text("human")

        page.goto(address(worker))
        now = page.locator("#incidents")
        expect(now.get_by_role("listitem").filter(has_text="eve").locator(".aside")).to_have_text("human")
        expect(now.locator(".aside")).to_have_count(1)  # and nobody else is marked
        page.goto(address(worker, f"user?{urlencode({'id': HOSTILE})}"))
        page.get_by_role("button", name="Say what it was").click(timeout=RECORDS)
        page.keyboard.press("Enter")  # in the comment, which says nothing by itself
        page.get_by_label("Or tell nobody").select_option("8 hours")
        page.get_by_role("button", name="Snooze", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_hidden(timeout=NOTED)
        expect(page.locator("#incidents .aside")).to_contain_text("snoozed until", timeout=RECORDS)
        page.get_by_role("button", name="Say what it was").click()
        page.get_by_role("button", name="End the snooze").click()
        expect(page.locator("#incidents .aside")).to_have_count(0, timeout=NOTED)
        assert said(worker)[HOSTILE] == (None, "")
        page.goto(address(worker, "rules"))
        expect(page.locator("#bot")).to_contain_text("Right in 0 % of the answers: ", timeout=RECORDS)
        expect(page.locator("#bot")).to_contain_text("0 bots, 1 human, 0 without an answer")

    phone = browser.new_context(java_script_enabled=False, viewport={"width": 375, "height": 700})
    linked = phone.new_page()
    with nothing_wrong(linked):
        linked.goto(link(worker, f"eve-{T}"))
        expect(linked.get_by_role("heading", level=1)).to_contain_text("eve")
        expect(linked.get_by_role("status")).to_contain_text("It was a human: nothing more is told")
        linked.get_by_role("button", name="Bot").click()
        expect(linked.get_by_role("status")).to_contain_text("Noted. Thank you. It was a bot.")
        linked.reload()  # which sends the form again
        expect(linked.get_by_role("status")).to_contain_text("This stood already: It was a bot.")
        linked.get_by_role("button", name="8 hours").click()
        expect(linked.get_by_role("status")).to_contain_text("Snoozed until")
        assert not scrolls_sideways(linked)
    phone.close()
    site.until(lambda: said(worker)["eve"] == ("bot", ""), worker)
