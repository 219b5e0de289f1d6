"""Clickwarden's Faust application: ``faust -A app worker`` runs it.

The application is made when it is first asked for, which Faust's command line does; from then on Ctrl-C
leaves no traceback.
"""

from typing import Any

from app.interruption import end_where_interrupted


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    end_where_interrupted()
    from app.main import app

    return app
