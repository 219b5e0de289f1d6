"""Who has most of the clicks, over all of them."""

from collections import Counter

import numpy as np

from clickwarden.detection.batch import Batch
from clickwarden.detection.intake import Commonest

#: Users that are remembered from one batch to the next.
REMEMBERED = 16


class Ranking:
    """Adds up the clicks of those who have most.

    A user with most clicks of nearly all batches is counted in nearly all;
    nobody is counted with more clicks than there were.

    >>> from clickwarden.detection.clicks import Clicks
    >>> ranking = Ranking()
    >>> ranking.take(Batch(Clicks(["ann", "bob", "bob"], ["view"] * 3, [None] * 3, np.zeros(3))))
    >>> ranking.first
    Commonest(user_id='bob', clicks=2, of=3)
    """

    def __init__(self) -> None:
        self._clicks: Counter[str] = Counter()
        self._of = 0

    def take(self, batch: Batch) -> None:
        """Count a batch."""
        clicks = np.bincount(batch.user, minlength=1)
        for user in clicks.argsort(kind="stable")[-REMEMBERED:].tolist():
            if clicks[user]:
                self._clicks[batch.users[user]] += int(clicks[user])
        self._clicks = Counter(dict(self._clicks.most_common(REMEMBERED)))
        self._of += len(batch)

    @property
    def first(self) -> Commonest:
        """The one with most; nobody where there is no click."""
        user, clicks = next(iter(self._clicks.most_common(1)), ("", 0))
        return Commonest(user, clicks, self._of)
