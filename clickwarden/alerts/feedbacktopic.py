"""The feedback topic, for who says something."""

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from clickwarden.alerts.feedback import Feedback
from clickwarden.kafka import rights, roles
from clickwarden.settings import Settings


async def write(settings: Settings, said: Feedback) -> None:
    """Have the topic say what stands of an incident.

    Raises:
        BrokerError: Kafka does not answer.
        AccessError: Kafka refuses us, or denies the right to write to it.
    """
    producer = AIOKafkaProducer(**settings.client_options(), acks="all")
    try:
        await producer.start()
        value = msgspec.json.encode(said)
        await producer.send_and_wait(settings.feedback_topic, value, said.incident_id.encode(), 0)
    except KafkaError as error:
        raise await rights.explain(settings, roles.critic(settings), error) from None
    finally:
        await producer.stop()
