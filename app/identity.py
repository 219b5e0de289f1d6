"""A worker's name, which one process at a time may have."""

from time import monotonic

from app.clock import KafkaClock, mark
from clickwarden.errors import SettingsError
from clickwarden.kafka.reader import reader
from clickwarden.settings import Settings

#: A worker says once a second how it is doing; after so long a silence its name is free.
SILENCE_SECONDS = 3.0
LOOK_SECONDS = 0.1


async def claim(settings: Settings, clock: KafkaClock) -> None:
    """Wait until no process is heard of under this worker's name.

    Kafka would give the name, and with it the partitions, to whoever joins
    last, and tell the other only at its next heartbeat. So a process listens
    before it joins: to the status topic, for as long as a living one would not
    be silent. Silence is measured by Kafka's clock, which stamps what it
    receives, and began when the predecessor died: most of it has passed when
    its successor is about to join.

    Of two that begin at once both may hear nothing. The group then keeps the
    second, and the first ends (:meth:`app.membership.Membership.expel`); so
    does one that was silent and lives.

    Raises:
        SettingsError: another process lives under it.
        BrokerError: Kafka does not answer.
    """
    name = settings.member.encode()
    async with reader(settings, settings.status_topic) as consumer:
        (place,) = consumer.assignment()
        marked = await mark(settings, clock)
        since = free = monotonic()
        ends = await consumer.end_offsets([place])
        found = await consumer.offsets_for_times({place: marked.timestamp - int(SILENCE_SECONDS * 1000)})
        # None of that age where Kafka's copies, and so its readers, do not have them yet.
        consumer.seek(place, ends[place] if found[place] is None else found[place].offset)
        end = marked.offset + 1
        while monotonic() < free or await consumer.position(place) < end:
            left = max(free - monotonic(), LOOK_SECONDS)
            heard = await consumer.getmany(place, timeout_ms=int(left * 1000))
            for record in heard.get(place, []):
                if record.key == name and record.offset > marked.offset:
                    raise SettingsError(
                        f"CLICKWARDEN_WORKER_ID={settings.member}: another worker of this name is alive; "
                        "give each worker a name of its own, or stop the other first"
                    )
                if record.key == name:
                    # Kafka's clock may have been set back since.
                    age = max(0.0, (marked.timestamp - record.timestamp) / 1000)
                    free = since + SILENCE_SECONDS - age
            # What was said while we waited counts; and Kafka's silence is nobody's.
            end = (await consumer.end_offsets([place]))[place]
