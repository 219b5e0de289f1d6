"""Who is blocked, on the page."""

import re
import time
from http.client import HTTPConnection

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from pydantic import SecretStr

from tests.browser.look import (
    HOSTILE,
    RECORDS,
    SHOWN,
    Scheme,
    address,
    anomaly,
    nothing_wrong,
    scrolls_sideways,
    show,
)
from tests.site import Site

KEY = "k" * 32


def test_who_is_blocked_until_when_and_why(site: Site, browser: Browser) -> None:
    worker = site.start(block_severity="high", block_keys=SecretStr(KEY))
    start = int(time.time()) // 60 * 60 - 60
    users = "203.0.113.9", "::ffff:203.0.113.10", HOSTILE, "10.0.0.9"
    show(site, worker, *(anomaly(user, start=start) for user in users))
    connection = HTTPConnection("127.0.0.1", worker.settings.web_port, timeout=10)
    connection.request("HEAD", "/v1/decisions", headers={"X-Api-Key": KEY, "User-Agent": "<b>bouncer/v1"})
    connection.getresponse().read()
    connection.close()
    looks: list[tuple[int, Scheme]] = [(1280, "light"), (375, "light"), (1280, "dark"), (375, "dark")]
    for width, scheme in looks:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        with nothing_wrong(page):
            page.goto(address(worker, "blocked"))
            expect(page.locator("#blocked > tr")).to_have_count(3, timeout=RECORDS)
            expect(page.locator("#shown")).to_have_text("3 blocks")
            expect(page.locator("#left-out li")).to_have_text(
                "Left out: 1 user of private networks, of this machine or of nobody."
            )
            assert {*page.locator("#blocked .user").all_text_contents()} == {SHOWN, *users[:2]}
            mapped = page.locator("#blocked > tr", has_text="::ffff:")
            expect(mapped).to_contain_text(re.compile(r"203\.0\.113\.10.*critical, bot", re.DOTALL))
            expect(page.locator("#bouncers li")).to_contain_text("<b>bouncerv1from 127.0.0.1")
            assert not scrolls_sideways(page), width
            assert page.locator("img[src=x], script:not([src])").count() == 0
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        page.close()
