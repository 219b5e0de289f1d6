"""The models topic: artefacts, who of them is in charge, and since which offset of which partition."""

import logging
import re
from collections.abc import Mapping, Sequence
from uuid import uuid4

import msgspec
from aiokafka import ConsumerRecord

from clickwarden.detection.lineup import Appointment, Lineup, Since
from clickwarden.errors import ModelError, RulesChanged
from clickwarden.formats.json import UNREADABLE
from clickwarden.kafka import roles
from clickwarden.kafka.wholetopic import WholeTopic
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: An artefact is kept in records of so many bytes, which every Kafka takes.
CHUNK_BYTES = 512 * 1024
#: The largest artefact: every worker holds all of them.
MOST_BYTES = 64 * 1024 * 1024
#: Of a record.
RECORD_BYTES = 1024 * 1024

_NAME = rb"([A-Za-z0-9_-]{1,64})"
_ARTEFACT = re.compile(rb"artefact/" + _NAME + rb"/([0-9a-f]{12})/(\d{1,4})/(\d{1,4})")
_APPOINTED = re.compile(rb"appointed/" + _NAME + rb"/\d{1,9}/[0-9a-f]+")
#: A pipeline, a partition of its topic, and its owner.
_ADOPTED = re.compile(rb"adopted/" + _NAME + rb"/(\d{1,9})/(\d{1,20}/\d{1,20})")


class ModelsTopic(WholeTopic):
    """What the topic holds, as far as it was read.

    Attributes:
        number: how many appointments there were, of all pipelines.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.models_topic, "models")
        self.number = 0
        self._appointed: dict[str, list[Appointment]] = {}
        self._chunks: dict[tuple[str, str], dict[int, bytes]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._adopted: dict[tuple[str, int], dict[str, bytes]] = {}

    def _take(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            key, value = record.key or b"", record.value
            if artefact := _ARTEFACT.fullmatch(key):
                name = artefact[1].decode(), artefact[2].decode()
                if value is None:
                    self._chunks.pop(name, None)
                else:
                    # What is there stays: a version is one model for ever.
                    self._chunks.setdefault(name, {}).setdefault(int(artefact[3]), value)
                    self._sizes.setdefault(name, int(artefact[4]))
            elif appointed := _APPOINTED.fullmatch(key):
                self._appoint(appointed[1].decode(), record)
            elif adopted := _ADOPTED.fullmatch(key):
                rows = self._adopted.setdefault((adopted[1].decode(), int(adopted[2])), {})
                owner = adopted[3].decode()
                if value is None:
                    rows.pop(owner, None)
                else:
                    rows[owner] = value

    def _appoint(self, pipeline: str, record: ConsumerRecord) -> None:
        try:
            appointment = msgspec.json.decode(record.value or b"", type=Appointment)
        except UNREADABLE as error:
            log.error(
                "Offset %s of %s holds no appointment that this release can read; it is left out: %s",
                record.offset,
                self._partition.topic,
                error,
            )
            return
        known = self._appointed.setdefault(pipeline, [])
        if appointment.number == len(known) + 1:
            known.append(appointment)
            self.number += 1

    def appointments(self, pipeline: str) -> Sequence[Appointment]:
        """All changes of a pipeline's models, the first one first."""
        return self._appointed.get(pipeline, ())

    def lineup(self, pipeline: str) -> Lineup:
        """The models of a pipeline that are in force."""
        appointments = self.appointments(pipeline)
        return appointments[-1].lineup if appointments else Lineup()

    def versions(self, pipeline: str) -> list[str]:
        """The versions of a pipeline whose artefacts are there, in the order in which they came."""
        return [
            version for name, version in self._chunks if name == pipeline and self._is_whole(version, name)
        ]

    def artefact(self, pipeline: str, version: str) -> bytes | None:
        """An artefact; None where it is not there, or not whole."""
        if not self._is_whole(version, pipeline):
            return None
        chunks = self._chunks[pipeline, version]
        return b"".join(chunks[place] for place in sorted(chunks))

    def _is_whole(self, version: str, pipeline: str) -> bool:
        name = pipeline, version
        return name in self._chunks and len(self._chunks[name]) == self._sizes[name]

    def older(self, pipeline: str, partition: int, owner: str) -> Mapping[str, bytes]:
        """What owners before this one told of a partition."""
        rows = self._adopted.get((pipeline, partition), {})
        return {name: row for name, row in rows.items() if name < owner}

    def adopted(self, pipeline: str) -> dict[int, list[Since]]:
        """By which models each partition of a pipeline's topic goes, by its newest owner."""
        return {
            partition: loaded(rows[max(rows)])
            for (name, partition), rows in sorted(self._adopted.items())
            if name == pipeline and rows
        }

    async def put(self, pipeline: str, version: str, artefact: bytes) -> None:
        """Keep an artefact.

        Raises:
            ModelError: it is too large, or another one has that version.
            BrokerError, AccessError: as :meth:`~WholeTopic.read`.
        """
        if len(artefact) > MOST_BYTES:
            raise ModelError(
                f"model {version} has {len(artefact):,} bytes, and the topic takes {MOST_BYTES:,}; train a "
                "smaller one"
            )
        chunks = [artefact[first : first + CHUNK_BYTES] for first in range(0, len(artefact), CHUNK_BYTES)]
        keys = (
            f"artefact/{pipeline}/{version}/{place}/{len(chunks)}".encode() for place in range(len(chunks))
        )
        if self.artefact(pipeline, version) is None:
            await self._write(
                list(zip(keys, chunks, strict=True)), roles.trainer(self._settings), RECORD_BYTES
            )
        if self.artefact(pipeline, version) != artefact:
            raise ModelError(
                f"version {version} of pipeline {pipeline} is in {self._partition.topic} already, with "
                "another calibration or report; train with another seed, or use the one that is there"
            )

    async def appoint(self, pipeline: str, appointment: Appointment) -> None:
        """Change a pipeline's models.

        Raises:
            RulesChanged: somebody else made another change meanwhile.
            BrokerError, AccessError: as :meth:`~WholeTopic.read`.
        """
        key = f"appointed/{pipeline}/{appointment.number}/{uuid4().hex}".encode()
        value = msgspec.json.encode(appointment)
        await self._write([(key, value)], roles.trainer(self._settings), RECORD_BYTES)
        held = self.appointments(pipeline)[appointment.number - 1]
        if held != appointment:
            raise outrun(pipeline, held)


def outrun(pipeline: str, first: Appointment) -> RulesChanged:
    """What whoever wants to change a pipeline's models is told of who was first."""
    return RulesChanged(
        f"{first.who} was first, and has changed the models of {pipeline}, too ({first.what}); look at what "
        "they are now, and do it again if it is still wanted"
    )


def adoption_key(pipeline: str, partition: int, owner: str) -> bytes:
    """Of what the owner of a partition tells of it."""
    return f"adopted/{pipeline}/{partition}/{owner}".encode()


def loaded(row: bytes) -> list[Since]:
    """What was told of a partition.

    Raises:
        msgspec.MsgspecError: by nobody of us.
    """
    return msgspec.json.decode(row, type=list[Since])
