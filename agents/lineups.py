"""What a worker tells of its partitions' models, for `verify`, for people, and for who owns them next."""

import msgspec

from app.application import Application
from app.delivery import Deliveries, Outgoing
from clickwarden.detection.lineup import Since, told
from clickwarden.kafka.modelstopic import adoption_key, loaded
from clickwarden.models.standing import Standing


class Lineups:
    """Tells since which offset a partition of a pipeline is scored by which models.

    As :class:`agents.adoptions.Adoptions` does of rules: when the state holds it, before anything is scored
    by it, in one record under the name of the partition's owner.

    Args:
        app: the application.
        pipeline: its name.
        partition: its number.
        owner: of the partition.
        deliveries: to send with.
    """

    def __init__(
        self, app: Application, pipeline: str, partition: int, owner: str, deliveries: Deliveries
    ) -> None:
        self._app = app
        self._pipeline = pipeline
        self._partition = partition
        self._owner = owner
        self._deliveries = deliveries
        self._known: list[Since] | None = None

    async def tell(self, standing: Standing) -> None:
        """Tell of a partition as it stands, and remove what others told of it."""
        older = self._app.modelstopic.older(self._pipeline, self._partition, self._owner)
        if self._known is None:
            self._known = loaded(older[max(older)]) if older else []
        self._known = told(self._known, standing.next_offset or 0, standing.lineup, standing.planned)
        await self._send(self._owner, msgspec.json.encode(self._known))
        for owner in older:
            await self._send(owner, None)

    async def _send(self, owner: str, value: bytes | None) -> None:
        key = adoption_key(self._pipeline, self._partition, owner)
        await self._deliveries.send(Outgoing(self._app.settings.models_topic, key, value, 0))
        await self._deliveries.acknowledged(self._deliveries.sent)
