"""One page of what a request asks for."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from clickwarden.alerts.feed import Place
from web import query

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """What is shown of all that was found.

    Attributes:
        shown: at most as many as were asked for.
        total: how many were found, on all pages.
        ongoing: how many of these go on.
        next: the ``cursor`` of the next page; None on the last.
    """

    shown: list[T]
    total: int
    ongoing: int
    next: str | None


async def paged(
    asked: Mapping[str, str],
    found: AsyncIterator[list[T]],
    place: Callable[[T], Place],
    goes_on: Callable[[T], bool] = lambda each: False,
) -> Page[T]:
    """The page that a query string asks for.

    Args:
        asked: the query string.
        found: some at a time, in falling order of their places.
        place: of one.
        goes_on: whether one does.

    Raises:
        QueryError: ``limit`` or ``cursor`` is wrong.
    """
    limit, before = query.limit(asked), query.place(asked)
    shown: list[T] = []
    total = ongoing = 0
    async for some in found:
        total += len(some)
        ongoing += sum(map(goes_on, some))
        if len(shown) <= limit:
            behind = (each for each in some if before is None or place(each) < before)
            shown += list(behind)[: limit + 1 - len(shown)]
    more, shown = len(shown) > limit, shown[:limit]
    return Page(shown, total, ongoing, query.cursor(place(shown[-1])) if more else None)
