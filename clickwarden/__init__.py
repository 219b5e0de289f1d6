"""Clickwarden as a library: what a shop's own code imports to send its clicks.

    import asyncio
    import time

    from clickwarden import ClickProducer, Settings


    async def main() -> None:
        async with ClickProducer(Settings.load()) as producer:
            await producer.send("user-1", "view", "product-7", time.time())


    asyncio.run(main())

Moments are epoch seconds and durations seconds, both floats; sizes are in the
unit that the setting names. Whatever is raised on purpose is one of these:

    ClickwardenError
    ├── SettingsError      from Settings.load(), or where the topic is not as the settings say
    ├── AccessError        Kafka refuses the user or a right, from a ClickProducer; what is sent waits on disk
    ├── ClickError         from send(): the worker would reject the click; says why in .reason
    ├── OutboxError        the folder is another producer's or broken, or it or the disk is full
    └── BrokerError        Kafka cannot be used; a ClickProducer waits for it instead

A name is imported when it is first asked for, so that detection can be used
without Kafka's client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickwarden.errors import (
        AccessError,
        BrokerError,
        ClickError,
        ClickwardenError,
        OutboxError,
        SettingsError,
    )
    from clickwarden.settings import Settings
    from clickwarden.sources.producer import ClickProducer

__all__ = [
    "AccessError",
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
    return __all__
