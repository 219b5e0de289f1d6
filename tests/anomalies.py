"""Records of the anomalies topic, for the tests."""

import json

MINUTES = [f"2026-01-01T00:{minute:02}:00Z" for minute in range(60)]


def record(alert_id: str, status: str = "ongoing", window_end: str = MINUTES[1], **more: object) -> bytes:
    """An anomaly's value."""
    fields: dict[str, object] = {
        "alert_id": alert_id, "rule": "bot", "status": status, "user_id": "u",
        "window_start": MINUTES[0], "window_end": window_end,
        "count": 51, "count_low": 27, "count_high": 51, "threshold": 50,
        "first_seen": "2026-01-01T00:00:01Z", "last_seen": "2026-01-01T00:00:02Z",
        "events": {"view": 27}, "distinct_products": 3, "category": "bot", "owasp": "OAT-003",
        "reasons": ["why"], "partition": 0, "emitted_at": "2026-01-01T00:00:02Z", "version": 1, "worker": "w",
    }  # fmt: skip
    return json.dumps(fields | more).encode()
