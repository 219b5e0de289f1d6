"""Clickwarden's Faust application: ``faust -A app worker`` runs it.

The application is made when it is first asked for.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.main import app

    return app
