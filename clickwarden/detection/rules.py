"""What is abnormal: a rule."""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

Category = Literal["bot", "scraper", "credential_stuffing"]

#: OWASP Automated Threats to Web Applications, the closest to each category.
OWASP: dict[str, str] = {
    "bot": "OAT-003",
    "scraper": "OAT-011",
    "credential_stuffing": "OAT-008",
}

#: Names of events that are spelled out where a rule is explained.
SPELLED = 2


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """More than ``threshold`` matching clicks of one user in one window.

    A window is ``[start, start + window)`` in event time, in whole seconds,
    aligned to the epoch. ``events`` empty means every click matches.
    """

    name: str
    window: int
    threshold: int
    category: Category = "bot"
    description: str = ""
    events: tuple[str, ...] = ()
    promote: int = 0
    width: int = 65_536
    owasp: str = ""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is wrong; with its name.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise ValueError("name: 1 to 64 letters, digits, - and _")
        if self.window < 1 or self.window > 86_400:
            raise ValueError(f"window: {self.window} must be 1 to 86400 seconds")
        if self.threshold < 1 or self.threshold >= 2**31:
            raise ValueError(f"threshold: {self.threshold} must be at least 1")
        if not 0 <= self.promote <= self.threshold:
            raise ValueError(f"promote: {self.promote} must be 1 to the threshold, or left out")
        if self.width < 1024 or self.width > 2**24 or self.width & (self.width - 1):
            raise ValueError(f"width: {self.width} must be a power of two from 1024 to {2**24}")

    @property
    def level(self) -> int:
        """Estimate at which a user becomes a suspect."""
        return self.promote or max(1, self.threshold // 2)

    @property
    def threat(self) -> str:
        """The OWASP automated threat an anomaly of this rule is labelled with."""
        return self.owasp or OWASP[self.category]


def spelled(events: Sequence[str], separator: str) -> str:
    """The first names of some events, and how many more there are; the separator stands before the last.

    >>> spelled(("login", "login_failed"), " or "), spelled(("view", "page_view", "Page Viewed"), " or ")
    ('login or login_failed', 'view, page_view or 1 more')
    """
    names = list(events[:SPELLED])
    if len(events) > SPELLED:
        names.append(f"{len(events) - SPELLED} more")
    return separator.join((*([", ".join(names[:-1])] if names[1:] else ()), *names[-1:]))


def digest_of(rules: Sequence[Rule]) -> str:
    """What tells rules from others, whatever their order."""
    encoded = msgspec.json.encode(sorted(rules, key=lambda rule: rule.name))
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()
