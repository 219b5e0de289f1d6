"""The verdict: the exact oracle, under rules that changed on the way."""

import asyncio

from clickwarden.audit.adoptions import adoptions_told
from clickwarden.audit.allowed import Lists
from clickwarden.audit.excuses import excuses
from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings


def verdict(settings: Settings) -> Judgement:
    """Recount all clicks and hold the anomalies against them; some 10 µs a click."""
    return asyncio.run(_verdict(settings))


async def _verdict(settings: Settings) -> Judgement:
    async with reader(settings, settings.late_topic) as consumer:
        late = [record async for _, run in to_end(consumer) for record in run]
    async with reader(settings, settings.rules_topic) as consumer:
        changes = [record async for _, run in to_end(consumer) for record in run]
    told = adoptions_told(changes)
    begins = dict.fromkeys(range(settings.partitions), 0)
    excused = excuses(late, settings.clicks_topic)
    lists = Lists(changes), told.lists
    truth = Recount(settings, (), excused, begins, adoptions=told.rules, lists=lists)
    async with reader(settings, settings.clicks_topic) as consumer:
        async for number, run in to_end(consumer):
            truth.add(number, run)
    async with reader(settings, settings.anomalies_topic) as consumer:
        return judge(truth, [record async for _, run in to_end(consumer) for record in run])
