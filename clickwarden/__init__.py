"""Clickwarden as a library: what a shop's own code imports.

    from clickwarden import ClickProducer, Settings

    async with ClickProducer(Settings.load()) as producer:
        await producer.send("user-1", "view", "product-7", time.time())

Imported when first asked for, so that detection can be used without Kafka's client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickwarden.errors import BrokerError, ClickError, ClickwardenError, OutboxError, SettingsError
    from clickwarden.settings import Settings
    from clickwarden.sources.producer import ClickProducer

__all__ = [
    "BrokerError",
    "ClickError",
    "ClickProducer",
    "ClickwardenError",
    "OutboxError",
    "Settings",
    "SettingsError",
]

_HOMES = {"ClickProducer": "clickwarden.sources.producer", "Settings": "clickwarden.settings"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "clickwarden.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
