"""Take the picture of an incident in Slack, of the very blocks that Slack is sent: docs/img/slack.webp.

The look is ours: the page is made here, of the types of blocks that Clickwarden uses. No Kafka is needed.
"""

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from clickwarden.channels.message import Case, Message, message_of
from clickwarden.channels.slack import blocks
from experiments.chromium import chromium

IMAGE = Path(__file__).parents[1] / "docs" / "img" / "slack.webp"
PAGE = "https://clickwarden.shop.example/"
WIDTH = 720
#: What makes a WebP of a PNG, both as URLs of data.
ENCODE = """async url => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.7);
}"""
LOOK = """
body { margin: 0; background: #fff; color: #1d1c1d; font: 15px/1.46668 Lato, Arial, sans-serif }
header { padding: 10px 20px; border-bottom: 1px solid #ddd; font-weight: 900; font-size: 18px }
article { display: flex; gap: 8px; padding: 8px 20px }
article article { padding: 6px 0 }
.app { flex: none; width: 36px; height: 36px; border-radius: 4px; background: #1d1c1d; color: #fff;
  font: 700 18px/36px Arial; text-align: center }
article article .app { width: 24px; height: 24px; font-size: 13px; line-height: 24px }
.from { font-weight: 900 }
.from span { margin-left: 4px; padding: 1px 3px; border-radius: 2px; background: #ddd; color: #616061;
  font: 700 10px Arial }
.from time { margin-left: 6px; color: #616061; font: 12px Arial }
.rich div { overflow-wrap: anywhere }
.rich a { color: #1264a3; text-decoration: none }
.thread { margin-top: 6px; padding-left: 10px; border-left: 3px solid #ddd }
.thread > b { color: #1264a3; font-size: 13px }
"""

OPENING = Case(
    incident_id="e1fed9de55ec615495aece53a70f57fc",
    user_id="203.0.113.9",
    rule="bot",
    category="bot",
    owasp="OAT-003",
    threshold=50,
    window=60,
    count_low=27,
    count_high=51,
    peak=51,
    since="2026-03-10T14:20:03Z",
    last_seen="2026-03-10T14:20:09Z",
    reasons=("nothing but view", "27 of them counted one by one: 4.2 a second over 6 s"),
    severity="low",
)
WORSE = msgspec.structs.replace(
    OPENING,
    count_low=1_176,
    count_high=1_200,
    peak=1_200,
    last_seen="2026-03-10T14:20:59Z",
    reasons=("nothing but view", "1,176 of them counted one by one: 21 a second over 56 s"),
    severity="critical",
)


def thread() -> Iterator[tuple[str, Message]]:
    """What is told of an incident, and when."""
    yield "2:20 PM", message_of(OPENING, "opening", PAGE)
    yield "2:21 PM", message_of(WORSE, "escalation", PAGE)


def shown(message: Message) -> str:
    """The blocks of a message as HTML."""
    sections = [section for block in blocks(message) for section in block["elements"]]
    return "".join(f"<div>{''.join(map(_element, section['elements']))}</div>" for section in sections)


def _element(element: dict[str, Any]) -> str:
    text = escape(element["text"])
    if element["type"] == "link":
        return f'<a href="{escape(element["url"])}">{text}</a>'
    return f"<b>{text}</b>" if element.get("style", {}).get("bold") else text


def document() -> str:
    """A channel with the thread of an incident."""
    (first, top), *replies = thread()
    said = "".join(_message(when, shown(message)) for when, message in replies)
    inner = f'<div class="thread"><b>{len(replies)} reply</b>{said}</div>'
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Slack</title><style>{LOOK}</style>'
        f"<header># security</header>{_message(first, shown(top), inner)}</html>"
    )


def _message(when: str, content: str, below: str = "") -> str:
    return (
        '<article><div class="app">C</div><div>'
        f'<div class="from">Clickwarden<span>APP</span><time>{when}</time></div>'
        f'<div class="rich">{content}</div>{below}</div></article>'
    )


@click.command(help=__doc__)
def main() -> None:
    """Take the picture."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": 100}, device_scale_factor=1.25)
        page.set_content(document())
        taken = base64.b64encode(page.screenshot(full_page=True)).decode()
        encoded: str = page.evaluate(ENCODE, f"data:image/png;base64,{taken}")
    IMAGE.write_bytes(base64.b64decode(encoded.partition(",")[2]))
    Console(stderr=True).print(f"{IMAGE.name} {IMAGE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
