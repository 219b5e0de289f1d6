"""Which decoder reads a topic's records."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from clickwarden.formats.clicks import Decoder


class Topic(Protocol):
    """What has to be known of a topic; the settings of that name."""

    @property
    def field_names(self) -> dict[str, str]:
        """Where the fields of a click stand, by our own names."""

    @property
    def max_skew(self) -> float:
        """Seconds that a click may be ahead of Kafka's clock."""

    @property
    def registry_url(self) -> str:
        """Where the schema registry is; empty where there is none."""

    @property
    def timestamp_format(self) -> str:
        """How a time in text is written, if not as usual."""


def bare_decoder_of(topic: Topic, fields: Collection[str] = ()) -> Callable[[], Decoder]:
    """Makes the decoder of clicks that no registry has to do with, as those in a file; can be pickled.

    Args:
        topic: the settings.
        fields: see :meth:`~clickwarden.formats.clicks.Decoder.want`.
    """
    return partial(Decoder, topic.field_names, topic.max_skew, topic.timestamp_format, fields=fields)


def decoder_of(topic: Topic) -> Callable[[], Decoder]:
    """Makes the decoder; can be pickled, for the process that decodes."""
    if not topic.registry_url:
        return bare_decoder_of(topic)
    from clickwarden.formats.framing import Framing  # whose packages only a topic with a registry needs

    return partial(Decoder, topic.field_names, topic.max_skew, topic.timestamp_format, Framing)
