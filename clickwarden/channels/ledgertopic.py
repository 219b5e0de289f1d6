"""The ledger's topic, for who looks at it from outside."""

from collections.abc import Iterable

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from clickwarden.channels.ledger import Entry, Ledger
from clickwarden.kafka import rights, roles
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings


async def read(settings: Settings) -> Ledger:
    """What the topic says now.

    Raises:
        BrokerError: Kafka does not answer, or there is no such topic.
        AccessError: Kafka refuses us, or denies the right to read it.
    """
    ledger = Ledger()
    async with reader(settings, settings.told_topic) as consumer:
        async for _, records in to_end(consumer):
            for record in records:
                ledger.take(record.value)
    return ledger


async def ask_again(settings: Settings, entries: Iterable[Entry]) -> None:
    """Have messages sent that were given up, by the worker that tells people.

    Raises:
        BrokerError, AccessError: as :func:`read`.
    """
    needed = roles.asker(settings)
    await rights.check(settings, needed)
    producer = AIOKafkaProducer(**settings.client_options(), acks="all")
    try:
        await producer.start()
        for entry in entries:
            asked = msgspec.structs.replace(entry, state="again")
            await producer.send_and_wait(settings.told_topic, msgspec.json.encode(asked), entry.name, 0)
    except KafkaError as error:
        raise await rights.explain(settings, needed, error) from None
    finally:
        await producer.stop()
