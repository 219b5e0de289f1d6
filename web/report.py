"""What this worker says of itself once a second, so that every worker's page knows all of them."""

import asyncio
import logging

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from app.application import app, settings
from web.status import status

log = logging.getLogger(__name__)

SECONDS = 1.0


async def report() -> None:
    """Write this worker's status to the status topic until cancelled.

    With a producer of its own: nothing that is counted waits behind it, and it
    runs before and after the tables do. Not everything need arrive.
    """
    while True:
        producer = AIOKafkaProducer(
            **settings.client_options(), acks=1, request_timeout_ms=5000, compression_type="zstd"
        )
        try:
            await producer.start()
            while True:
                await asyncio.sleep(SECONDS)
                app.pulse.check()
                value = msgspec.json.encode(status())
                await producer.send_and_wait(settings.status_topic, value, settings.member.encode(), 0)
        except KafkaError as error:
            log.debug("This worker's status is not told: %s", error)
            await asyncio.sleep(SECONDS)
        except Exception:
            log.exception("This worker's status is not told")
            await asyncio.sleep(SECONDS)
        finally:
            await producer.stop()
