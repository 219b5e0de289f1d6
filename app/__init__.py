"""Clickwarden: finds bots and other abnormal users in a clickstream while it happens.

``faust -A app worker`` runs it. The Faust application is made when it is
first asked for, so that detection can be imported without Faust or Kafka.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.application import app

    return app
