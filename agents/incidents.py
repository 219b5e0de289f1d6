"""Incidents become records of the incidents topic, by the worker that counts the first partition."""

import asyncio
import logging
from time import monotonic

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.clicks import partitions
from agents.keeper import Keeper
from app.main import app, settings
from clickwarden.kafka import rights, roles

log = logging.getLogger(__name__)

#: Between two looks whether there is something to write.
PAUSE_SECONDS = 0.1
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0
#: So long what was read is kept by a worker whose turn it is no longer: a rebalance may give it back.
FORGET_SECONDS = 60.0


def is_keeper() -> bool:
    """Whether it is this worker that writes the incidents, and certain that no other does."""
    return (
        app.membership.holds
        and app.membership.is_certain
        and any(partition.tp.partition == 0 for partition in partitions)
    )


@app.companion
async def keep() -> None:
    """Write the incidents while it is this worker that does, until cancelled."""
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        if is_keeper():
            keeper = Keeper(settings, app.clock.now)
            reading = asyncio.create_task(keeper.following.follow(settings))
            try:
                await _write(keeper)
            finally:
                reading.cancel()
                await asyncio.wait([reading])


async def _write(keeper: Keeper) -> None:
    kept_at, trouble = monotonic(), ""
    while monotonic() - kept_at < FORGET_SECONDS:
        producer = AIOKafkaProducer(**settings.client_options(), acks="all", compression_type="zstd")
        try:
            await producer.start()
            while monotonic() - kept_at < FORGET_SECONDS:
                is_behind = False
                if is_keeper():
                    kept_at = monotonic()
                    is_behind = await keeper.write(producer)
                    trouble = ""
                await asyncio.sleep(0 if is_behind else PAUSE_SECONDS)
        except KafkaError as error:
            why = str(await rights.explain(settings, roles.worker(settings), error))
            if not trouble:
                log.warning("Incidents are not written: %s", why)
            trouble = why
        except Exception:
            log.exception("Incidents are not written")
        finally:
            await producer.stop()
        await asyncio.sleep(RETRY_SECONDS)
