"""What a worker tells of its partitions' rules, for `verify` and for people."""

import logging

import msgspec

from app.application import Application
from app.delivery import Deliveries, Outgoing
from clickwarden.detection import adoption
from clickwarden.detection.adoption import Adoption, adoptions_of, lists_of
from clickwarden.detection.detection import Detection
from clickwarden.kafka.rulestopic import adoption_key

log = logging.getLogger(__name__)


class Adoptions:
    """Tells since which offset a partition is counted by which rules, and told of by which allow-list.

    It is told when the state holds it, and before anything is counted by it:
    whoever finds the state after a crash tells the same again. One record has
    all of a partition, under the name of its owner, and the newest owner is
    right, whatever one that was taken for dead has still under way.

    Args:
        app: the application.
        owner: of the partition.
        deliveries: to send with.
    """

    def __init__(self, app: Application, owner: str, deliveries: Deliveries) -> None:
        self._app = app
        self._owner = owner
        self._deliveries = deliveries
        self._known: list[Adoption] | None = None
        self._known_lists: list[tuple[int, int]] = []

    async def tell(self, detection: Detection) -> None:
        """Tell of a partition as it is, and remove what others told of it."""
        partition = detection.partition
        older = self._app.rulestopic.adoptions.older(partition, self._owner)
        if self._known is None:
            self._known, self._known_lists = _loaded(older[max(older)]) if older else ([], [])
        self._known = adoptions_of(detection, self._known)
        self._known_lists = lists_of(detection, self._known_lists)
        await self._send(partition, self._owner, adoption.dump(self._known, self._known_lists))
        for owner in older:
            await self._send(partition, owner, None)

    async def _send(self, partition: int, owner: str, value: bytes | None) -> None:
        topic, key = self._app.settings.rules_topic, adoption_key(partition, owner)
        await self._deliveries.send(Outgoing(topic, key, value, 0))
        await self._deliveries.acknowledged(self._deliveries.sent)


def _loaded(row: bytes) -> tuple[list[Adoption], list[tuple[int, int]]]:
    try:
        return adoption.load(row), adoption.load_lists(row)
    except msgspec.MsgspecError as error:
        log.warning("By which rules a partition was counted before cannot be read by this release: %s", error)
        return [], []
