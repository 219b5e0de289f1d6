"""Records of nested clicks, several in one, through a worker: each thing in them is counted, or told of."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.site import Site, window_before

T = window_before(time.time())
FIELDS = {
    "field_user_id": "context.traits.userId|anonymousId|@key",
    "field_event": "event|@header:event",
    "field_timestamp": "sent.at",
    "field_product_id": "properties.items.0.id",
}


def track(user: str | int | None, moment: Any, **more: Any) -> dict[str, Any]:
    traits = {"context": {"traits": {"userId": user}}} if isinstance(user, int) else {"anonymousId": user}
    return {"event": "view", "sent": {"at": moment}, "properties": {"items": [{"id": "p"}]}} | traits | more


def several(*clicks: Any) -> bytes:
    return json.dumps(list(clicks)).encode()


def test_each_thing_in_a_record_is_accounted_for(site: Callable[..., Site]) -> None:
    here = site(**FIELDS, idle_timeout=3600, late_limit=3600)
    worker = here.start()
    attack = [track(7, (T + second) * 1000) for second in range(55)]
    sent = [
        several(*attack[first : first + 5], {}, track("ann", f"{T + first}")) for first in range(0, 55, 5)
    ]
    here.send(*sent[:6], key=b"nobody")
    here.await_counted(worker)
    worker.kill()
    worker = here.start()
    here.send(*sent[6:], key=b"nobody")
    # One record of more clicks than are counted at once; five that move the time; and some that are late.
    here.send(several(*(track(f"u-{number % 3000}", T + 30) for number in range(9000))))
    here.send(json.dumps({"records": [track("ann", T + 66 + second) for second in range(5)]}).encode())
    here.send(several(track("eve", T + 67), track(7, T + 1), track("eve", "soon"), track(7, T + 2)))
    here.send(json.dumps({"sent": {"at": T + 68}}).encode(), key=b"kay", headers=[("event", b"cart")])
    here.await_counted(worker)

    verdict = here.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    status = worker.partitions()[0]
    figures = (verdict.accepted, verdict.late, sum(status["rejected"].values()), verdict.further)
    assert figures == (55 + 11 + 9000 + 5 + 1 + 1, 2, 11 + 1, 55 + 11 + 11 - 11 + 9000 - 1 + 5 - 1 + 4 - 1)
    assert (status["accepted"], status["late"]) == (verdict.accepted, verdict.late)
    counts = {each["user_id"]: each["count"] for each in here.anomalies() if each["status"] == "closed"}
    assert counts == {"7": 55}

    bad = here.rejected()
    assert Counter((copy.value, copy.about["element"]) for copy in bad) == {
        (b"{}", "5"): 11,
        (json.dumps(track("eve", "soon")).encode(), "2"): 1,
    }
    assert [(json.loads(copy.value or b"")["sent"]["at"], copy.about["element"]) for copy in here.late()] == [
        (T + 1, "1"),
        (T + 2, "3"),
    ]
    done = here.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9,087 produced" in done.stdout
    assert "in 15 records, of which some hold several" in done.stdout
