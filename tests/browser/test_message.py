"""What a browser, which webmail is, makes of a message."""

import pytest
from playwright.sync_api import Page

from clickwarden.channels.message import message_of, message_of_many
from clickwarden.channels.rendering import html
from tests.browser.look import nothing_wrong, scrolls_sideways
from tests.channels import NASTY, case

PAGE = "https://clickwarden.shop.example/"


def test_nothing_runs_loads_or_links_but_to_the_page(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with nothing_wrong(page):
        for user_id in NASTY:
            message = message_of(case(user_id), "opening", PAGE)
            page.set_content(html(message), wait_until="load")
            assert page.locator("h2").inner_text() == message.title
            assert page.locator("tr").count() == len(message.facts)
            links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
            assert links == [message.link]
            assert page.locator("script, img, svg, iframe, form, style, link").count() == 0
    assert asked == []


@pytest.mark.parametrize("width", [390, 900])
def test_it_is_read_without_scrolling_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for message in (
        message_of(case("e" * 400), "opening", PAGE),
        message_of_many([case(f"user-{n}", incident_id=f"{n:032x}") for n in range(500)], "k", "", PAGE),
    ):
        page.set_content(html(message))
        assert not scrolls_sideways(page)
