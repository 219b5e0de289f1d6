"""A rule is changed on the page: by keyboard, on a phone, beside somebody else, and without a connection."""

import re
import time

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.look import HOSTILE, RECORDS, SHOWN, TESTED_RULES, address, nothing_wrong, scrolls_sideways
from tests.site import RULES, Site, Worker, clicks

#: A change is asked of the worker, which asks Kafka; then the page asks again.
IN_FORCE = 2 * RECORDS


def threshold(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="Threshold")


def change(page: Page, name: str = "bot") -> Locator:
    """Open the form of a rule."""
    page.get_by_role("button", name=f"Change rule {name}").click()
    dialog = page.get_by_role("dialog", name=f"Change rule {name}")
    expect(dialog).to_be_visible(timeout=RECORDS)
    return dialog


def save(page: Page, why: str = "w") -> None:
    page.get_by_label("Why").fill(why)
    page.get_by_role("button", name="Save").click()


def thresholds(worker: Worker) -> dict[str, int]:
    return {rule["name"]: rule["threshold"] for rule in worker.ask("/api/v1/rules")[1]}


def test_a_threshold_is_changed_by_keyboard_and_seen_in_force_and_in_the_history(
    site: Site, page: Page
) -> None:
    worker = site.start()
    with nothing_wrong(page):
        page.goto(address(worker, "rules"))
        button = page.get_by_role("button", name="Change rule bot")
        button.focus()
        page.keyboard.press("Enter")
        expect(threshold(page)).to_be_focused(timeout=RECORDS)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(threshold(page)).to_be_focused(timeout=RECORDS)
        page.keyboard.type("20")  # what is there is selected
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()  # a reason is wanted
        page.get_by_label("Why").fill(HOSTILE.replace("\n", ""))
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden(timeout=RECORDS)
        done = page.locator("#revised")
        expect(done).to_be_focused()
        expect(done).to_contain_text("Change 2: threshold of bot from 50 to 20.")
        expect(done).to_contain_text("In force in all 2 partitions since", timeout=IN_FORCE)
        expect(page.locator("#bot h2")).to_contain_text("More than 20 clicks in 1 minute", timeout=RECORDS)
        newest = page.locator("#changes > li").first
        expect(newest).to_contain_text(
            f"threshold of bot from 50 to 20 — {SHOWN.replace('U+000A', '')}", timeout=RECORDS
        )
        expect(newest).to_contain_text("the page of one, from 127.0.0.1")
        assert page.locator("img[src=x], script:not([src])").count() == 0
    assert thresholds(worker) == {"bot": 20}


def test_what_the_checks_say_stands_at_the_field_and_the_rule_can_do_without_its_test(
    site: Site, page: Page
) -> None:
    site.settings.rules.write_text(TESTED_RULES)
    worker = site.start()
    page.goto(address(worker, "rules"))
    change(page)
    threshold(page).fill("60")
    save(page)
    fault = page.locator("#threshold-fault")
    expect(fault).to_contain_text("expected eve with 51 clicks, came nobody", timeout=RECORDS)
    expect(threshold(page)).to_be_focused()
    expect(threshold(page)).to_have_attribute("aria-invalid", "true")
    threshold(page).fill("70")  # another value may pass, so nothing is left of the refusal
    expect(fault).to_be_hidden()
    expect(page.get_by_role("checkbox", name="51 are")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("checkbox", name="51 are <i>too many</i>").check(timeout=RECORDS)
    page.get_by_role("button", name="Save").click()
    done = page.locator("#revised")
    expect(done).to_contain_text("bot without its test '51 are <i>too many</i>'", timeout=RECORDS)
    site.until(lambda: thresholds(worker)["bot"] == 70, worker)


def test_a_rule_is_switched_off_and_on_again(site: Site, page: Page) -> None:
    site.settings.rules.write_text(TESTED_RULES)
    worker = site.start()
    page.goto(address(worker, "rules"))
    for name in ("logins", "bot"):
        change(page, name)
        page.get_by_label("In force").uncheck()
        save(page)
        if name == "logins":
            off = page.locator("#disabled > li")
            expect(off).to_contain_text("More than 5 clicks (login) in 1 minute", timeout=IN_FORCE)
            expect(page.locator("#rules > li")).to_have_count(1, timeout=RECORDS)
    expect(page.locator("#enabled-fault")).to_contain_text("bot: is the only rule in force", timeout=RECORDS)
    page.get_by_role("button", name="Cancel").click()
    change(page, "logins")
    page.get_by_label("In force").check()
    page.get_by_label("In shadow").check()
    save(page)
    expect(page.locator("#rules > li")).to_have_count(2, timeout=IN_FORCE)
    expect(page.locator("#disabled")).to_be_hidden()
    first = page.locator("#changes > li").first
    expect(first).to_contain_text("enable logins, logins into shadow", timeout=RECORDS)


def test_who_comes_second_sees_what_it_is_now_and_decides_anew(site: Site, page: Page) -> None:
    worker = site.start()
    page.goto(address(worker, "rules"))
    change(page)
    page.get_by_label("In shadow").check()
    site.put(RULES.replace("50", "44"))
    save(page)
    fault = page.locator("#revision-fault")
    expect(fault).to_contain_text("was first, and has changed the rules, too (put ", timeout=RECORDS)
    expect(threshold(page)).to_have_value("44")
    expect(page.get_by_label("In shadow")).to_be_checked()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#revised")).to_contain_text("bot into shadow", timeout=RECORDS)
    site.until(lambda: thresholds(worker) == {"bot": 44}, worker)
    # A rule that is there no more.
    change(page)
    threshold(page).fill("30")
    site.put(RULES.replace("bot", "other"))
    save(page)
    expect(fault).to_contain_text("The rule is there no more", timeout=RECORDS)
    # And no worker.
    page.get_by_role("button", name="Cancel").click()
    change(page, "other")
    threshold(page).fill("30")
    worker.kill()
    save(page)
    expect(fault).to_contain_text("No connection to the worker", timeout=RECORDS)
    expect(page.get_by_role("button", name="Save")).to_be_enabled()


@pytest.mark.alone  # a preview yields to whatever else runs
def test_what_it_would_have_done_in_the_last_hour_on_a_phone_in_the_dark(
    site: Site, browser: Browser
) -> None:
    site.settings.rules.write_text(TESTED_RULES)
    worker = site.start()
    start = int(time.time()) // 60 * 60 - 120
    site.send(*clicks(HOSTILE, 45, start, start + 30), *clicks("eve", 80, start, start + 30))
    site.await_counted(worker)
    page = browser.new_page(viewport={"width": 375, "height": 700}, color_scheme="dark")
    with nothing_wrong(page):
        page.goto(address(worker, "rules"))
        dialog = change(page)
        threshold(page).fill("40")  # whatever its tests say of that
        page.get_by_role("button", name="Try it on the last hour").click()
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        seen = page.locator("#preview")
        expect(seen).to_contain_text(
            "It would have sent 2 messages in place of 1", timeout=3 * RECORDS, ignore_case=True
        )
        expect(seen.get_by_role("link")).to_have_text([SHOWN])
        expect(seen).to_contain_text("45 of 40")
        expect(page.get_by_role("button", name="Save")).to_be_enabled()
        assert not scrolls_sideways(page)
        assert dialog.evaluate("(node) => node.scrollWidth <= node.clientWidth")
        threshold(page).fill("79")
        expect(seen).to_be_empty()
        page.get_by_role("button", name="Try it on the last hour").click()
        expect(seen).to_contain_text(re.compile("told the same"), timeout=3 * RECORDS)
    page.close()
    assert len(worker.ask("/api/v1/rules/history")[1]["changes"]) == 1
