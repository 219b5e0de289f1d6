"""The errors Clickwarden raises on purpose.

    ClickwardenError
    ├── SettingsError      a setting or a rule is wrong or missing
    │   └── RulesChanged   somebody else was first to change the rules
    ├── BrokerError        Apache Kafka cannot be reached, started or used
    │   └── TopicMissing   it answers, and has no such topic
    ├── DatabaseError      PostgreSQL cannot be started, reached, or captured from
    ├── AccessError        Kafka refuses who we say we are, or a right that is needed
    ├── ClickError         a record cannot be counted (see clickwarden.formats.clicks)
    ├── OutboxError        the outbox cannot be used
    ├── SnapshotError      a snapshot cannot be used
    ├── RegistryError      the schema registry does not answer, or refuses us
    ├── ModelError         a trained model cannot be used
    ├── SchemasMissing     records are of schemas that are not known yet
    ├── DecodingError      the decoding process of a worker has ended
    └── ChannelError       a channel did not take a message

Each message says what is wrong, with which value, and what to do about it.
"""

from collections.abc import Mapping


class ClickwardenError(Exception):
    """Base of every error raised on purpose."""


class SettingsError(ClickwardenError):
    """A setting or a rule is wrong or missing."""


class RulesChanged(SettingsError):
    """Somebody else has changed the rules meanwhile, so that they are not changed a second time."""


class BrokerError(ClickwardenError):
    """Apache Kafka cannot be reached, started or used."""


class TopicMissing(BrokerError):
    """Kafka answers, and has no such topic, so that nobody has written to it yet."""


class AnswerError(BrokerError):
    """What answers in the place of Kafka Connect does not answer as Kafka Connect does."""


class DatabaseError(ClickwardenError):
    """PostgreSQL cannot be started, reached, or captured from."""


class AccessError(ClickwardenError):
    """Kafka refuses who we say we are, or we it; or it denies a right that is needed.

    Apart from SettingsError, since what was right once can become wrong while we run.
    """


#: Whoever sends a record decides how long a description of its fault can become.
DETAIL_MAX = 200


class ClickError(ClickwardenError):
    """A record of the clicks topic cannot be counted.

    ``reason`` is one of :data:`clickwarden.formats.clicks.REASONS`.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        detail = detail[:DETAIL_MAX]
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class OutboxError(ClickwardenError):
    """The outbox cannot be used: it is another producer's, full, of a newer version, or broken."""


class SnapshotError(ClickwardenError):
    """A snapshot is broken, from a newer version, or of records that Kafka does not have."""


class RegistryError(ClickwardenError):
    """The schema registry does not answer, or refuses us."""


class ModelError(ClickwardenError):
    """A trained model is broken, foreign, of a newer version, or of other features."""


class SchemasMissing(ClickwardenError):
    """Records are of schemas that whoever decodes does not know yet.

    Attributes:
        newest: by the schema's number, the time stamp of the newest record of it, epoch seconds.
    """

    def __init__(self, newest: Mapping[int, float]) -> None:
        super().__init__(newest)  # as pickle has it
        self.newest = newest


class DecodingError(ClickwardenError):
    """The decoding process of a worker has ended, or does not answer."""


class ChannelError(ClickwardenError):
    """A channel did not take a message; what it said holds no secret.

    Attributes:
        again: after how many seconds to try again, at least; None: it is of no use until somebody mends it.
        perhaps: it may have been taken all the same: what was answered, if anything, says neither.
    """

    def __init__(self, why: str, *, again: float | None, perhaps: bool = False) -> None:
        super().__init__(why)
        self.again = again
        self.perhaps = perhaps
