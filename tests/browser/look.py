"""What the page's tests share: anomalies to show, and what must never happen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import msgspec
from playwright.sync_api import Dialog, Page

from clickwarden.detection.anomaly import Anomaly
from clickwarden.times import isotime
from tests.site import RULES, Site, Worker

T = 1_600_000_020  # start of a window of 60 s
RECORDS = 10_000  # milliseconds from a record in Kafka to the page, on a busy machine
VIEWS = ("", "user?id=somebody", "history", "rules", "pipelines", "allowed")

Scheme: TypeAlias = Literal["light", "dark"]

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script><!--\u202e'\"&amp;\n\0\u200b😀"
#: How the page writes it.
SHOWN = "<img src=x onerror=alert(1)></script><script>alert(2)</script><!--U+202E'\"&amp;U+000AU+0000U+200B😀"

#: A rule with a test that holds its threshold, and another rule.
TESTED_RULES = (
    RULES
    + """
[[rule.test]]
name = "51 are <i>too many</i>"
clicks = [{ user = "eve", times = 51 }]
expect = [{ user = "eve", count = 51 }]

[[rule]]
name = "logins"
window = 60
threshold = 5
events = ["login"]
"""
)


def address(worker: Worker, path: str = "") -> str:
    return f"http://127.0.0.1:{worker.settings.web_port}/{path}"


def anomaly(user_id: str, status: str = "ongoing", start: int = T, **more: Any) -> Anomaly:
    given: dict[str, Any] = {
        "alert_id": f"{user_id}-{start}",
        "rule": "bot",
        "status": status,
        "user_id": user_id,
        "window_start": isotime(start),
        "window_end": isotime(start + 60),
        "count": 1234,
        "count_low": 1200,
        "count_high": 1234,
        "threshold": 50,
        "first_seen": isotime(start + 1),
        "last_seen": isotime(start + 2.5),
        "events": {"view": 1000, "<b>buy</b>": 200},
        "distinct_products": 7,
        "category": "bot",
        "owasp": "OAT-003",
        "reasons": ["because", "<i>it</i> is so"],
        "partition": 1,
        "emitted_at": isotime(time.time()),
        "worker": "another worker",
    }
    return Anomaly(**given | more)


def publish(site: Site, *anomalies: Anomaly | bytes) -> None:
    """Put records into the anomalies topic and wait until Kafka has them."""
    producer = site.producer()
    for each in anomalies:
        value = each if isinstance(each, bytes) else msgspec.json.encode(each)
        producer.produce(site.settings.anomalies_topic, value, key=uuid4().bytes, partition=0)
        producer.poll(0)
    assert producer.flush(10) == 0


def show(site: Site, worker: Worker, *anomalies: Anomaly) -> None:
    """Publish, and wait until the worker knows them."""
    publish(site, *anomalies)
    site.until(lambda: worker.ask("/api/v1/anomalies?limit=1")[1]["total"] >= len(anomalies), worker)


@contextmanager
def nothing_wrong(page: Page) -> Iterator[None]:
    """No script of an attacker runs, the policy holds, and nothing fails."""
    wrong: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => console.error(e.blockedURI))"
    )
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", dismiss)
    yield
    assert wrong == []


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
