"""Somebody is allowed on the page, seen with what they do, and taken off again."""

import re
import time

from playwright.sync_api import Browser, expect

from tests.browser.look import HOSTILE, RECORDS, SHOWN, address, nothing_wrong, scrolls_sideways
from tests.site import Site, clicks

USER = HOSTILE.replace("\n", "").replace("\0", "")


def test_somebody_is_allowed_and_taken_off_by_keyboard_on_a_phone(site: Site, browser: Browser) -> None:
    worker = site.start()
    page = browser.new_page(viewport={"width": 375, "height": 700}, color_scheme="dark")
    shown = SHOWN.replace("U+000AU+0000", "")
    with nothing_wrong(page):
        page.goto(address(worker, "allowed"))
        expect(page.locator("#empty")).to_have_text(
            "Nobody is allowed to go over a threshold.", timeout=RECORDS
        )
        page.get_by_label("Whom").fill(USER)
        page.get_by_label("Why").fill("our <i>monitor</i>")
        page.keyboard.press("Enter")
        done = page.locator("#revised")
        expect(done).to_contain_text("In force in all partitions", timeout=2 * RECORDS)
        group = page.locator("#groups > li")
        expect(group).to_have_count(1, timeout=RECORDS)
        expect(group.locator(".user")).to_have_text(shown)
        expect(group.get_by_role("heading")).to_have_text("our <i>monitor</i>")
        expect(group).to_contain_text("For ever · change 2")
        expect(group).to_contain_text("Nothing that would have been told is known of them")
        start = int(time.time()) // 60 * 60 - 60
        site.send(*clicks(USER, 60, start, start + 8))
        expect(group).to_contain_text("1 anomaly of 1 user told to nobody", timeout=2 * RECORDS)
        assert not scrolls_sideways(page)
        button = group.get_by_role("button", name=re.compile("^Remove user "))
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#empty")).to_be_visible(timeout=2 * RECORDS)
        expect(done).to_contain_text("Change 3: allow no more: user ")
        assert page.locator("img[src=x], script:not([src])").count() == 0
    # What the checks say stands at the field; the browser's console has it, too.
    page.get_by_label("Whom").fill("eve")
    page.get_by_label("Why").fill(" ")
    page.keyboard.press("Enter")
    refused = page.locator("#reason-fault")
    expect(refused).to_contain_text("reason: has 0 characters; say why in 1 to 200", timeout=RECORDS)
    expect(page.get_by_label("Why")).to_be_focused()
    page.close()
