"""What a worker, or all of them together, can see of what comes; and what people are to be told of it."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from clickwarden.alerts.words import plural, visible
from clickwarden.detection.intake import BLOCK, EVENTS, NEARLY_ALL, UNCOUNTED, Counts, Example, Intake
from clickwarden.detection.measure import Portion
from clickwarden.detection.rules import Rule, spelled
from clickwarden.formats.clicks import REASONS
from clickwarden.formats.cures import cure, plain

#: Of fewer records nothing is said: they may be somebody's first try.
HANDFUL = 3
#: Characters that are shown of a stranger's text.
EXAMPLE_MAX = 120
CURE_MAX = 300
#: Of so many clicks none is a rule's: 200 lack an event that is one in a hundred one time in eight.
UNHEARD_CLICKS = 200
#: So few clicks may be one user's.
COMMON_CLICKS = 1000
#: Events that a warning names.
NAMED = 6
#: Why a record cannot be counted, in words.
MEANINGS = REASONS | {
    UNCOUNTED: "the click came too late to be counted",
    "behind": "the record came too late for features",
    "keyless": "the record does not say whose it is",
    "timeless": "the record does not say when it was",
    "unreadable": "the record cannot be read",
}


class Complaint(msgspec.Struct):
    """Why records could not be counted; what strangers wrote is inert in it.

    Attributes:
        reason: ``uncounted``, or as in the headers of the topic of rejected records.
        detail: the fault of the example, in words.
        example: the beginning of such a record; empty where none was seen since the worker started.
        cure: what to do about it.
    """

    reason: str
    detail: str = ""
    example: str = ""
    cure: str = ""

    @property
    def advice(self) -> str:
        """What to do, and the example."""
        example = f"For example: {self.example}" if self.example else ""
        return " ".join(filter(None, (self.cure, example)))


class Blindness(msgspec.Struct):
    """So much of what comes cannot be counted that nobody can be said to be quiet.

    Attributes:
        records: that were looked at.
        uncountable: those of them that could not be counted.
        share: the part that they are, 0 to 1.
        complaint: why, in most cases.
        summary: share and reason in a sentence, without a stranger's word.
        text: all of it in words.
    """

    records: int
    uncountable: int
    share: float
    complaint: Complaint
    summary: str
    text: str


class Sight(msgspec.Struct):
    """What can be seen of what comes.

    Attributes:
        recent: the records of the last ten seconds, at least the last 64 and at most some 65,000 of each
            partition; none while the worker has seen none.
        total: all of them since the topic began.
        complaints: by reason, why records could not be counted.
        clicks: seen since the worker started.
        heard: events of the rules that clicks of the last day have had.
        events: all events of these clicks, the newest first, as far as they are kept; inert.
        commonest: clicks of users, inert, who have nearly all of a partition's in its last ten windows.
        windows: clicks of everybody in those windows.
    """

    recent: Counts = msgspec.field(default_factory=Counts)
    total: Counts = msgspec.field(default_factory=Counts)
    complaints: dict[str, Complaint] = {}
    clicks: int = 0
    heard: list[str] = []
    events: list[str] = []
    commonest: dict[str, int] = {}
    windows: int = 0

    @classmethod
    def of(cls, intake: Intake, total: Counts, names: Mapping[str, str]) -> "Sight":
        """What is seen of one partition.

        Args:
            intake: of its records.
            total: what became of all of them.
            names: what the topic calls the fields of a click, by our own names.
        """
        recent, common = intake.recent(), intake.commonest
        return cls(
            recent=recent,
            total=total,
            complaints={
                reason: _complaint(reason, intake, names)
                for reason in {**total.uncountable, **recent.uncountable}
            },
            clicks=intake.clicks,
            heard=intake.heard,
            events=[visible(event) for event in intake.events],
            commonest={visible(common.user_id): common.clicks} if common.user_id else {},
            windows=common.of,
        )

    def __add__(self, other: "Sight") -> "Sight":
        """Both together."""
        return Sight(
            recent=self.recent + other.recent,
            total=self.total + other.total,
            complaints={
                reason: _better(self.complaints.get(reason), other.complaints.get(reason))
                for reason in self.complaints | other.complaints
            },
            clicks=self.clicks + other.clicks,
            heard=list(dict.fromkeys(self.heard + other.heard)),
            events=list(dict.fromkeys(self.events + other.events))[:EVENTS],
            commonest=dict(Counter(self.commonest) + Counter(other.commonest)),
            windows=self.windows + other.windows,
        )

    def blindness(self, share: float) -> Blindness | None:
        """Whether this part or more of what comes, from 0 to 1, cannot be counted.

        Of the recent records; or, while those are few because the worker has
        just started, of all there ever were.
        """
        so_far = self.recent.records < BLOCK
        counts = self.total if so_far else self.recent
        if counts.records < HANDFUL or counts.share < share:
            return None
        (reason, most), *_ = counts.uncountable.items()
        uncountable = sum(counts.uncountable.values())
        complaint = self.complaints.get(reason, Complaint(reason))
        summary = _share(counts.records, uncountable, so_far=so_far)
        summary += f"{', mostly' if most < uncountable else ':'} {reason}"
        if reason in MEANINGS:
            summary += f" ({MEANINGS[reason]})"
        text = f"{summary}. {complaint.advice}".strip()
        return Blindness(counts.records, uncountable, round(counts.share, 4), complaint, summary, text)

    def warnings(self, rules: Sequence[Rule]) -> dict[str, str]:
        """What makes a rule, or all of them, count something else than is meant; by what it is about."""
        found = {}
        if self.clicks >= UNHEARD_CLICKS:
            found = {f"rule {rule.name}": self._unheard(rule) for rule in rules if self._misses(rule)}
        user_id, clicks = max(self.commonest.items(), key=lambda user: user[1], default=("", 0))
        if clicks >= max(COMMON_CLICKS, NEARLY_ALL * self.windows):
            share = f"{100 * clicks // self.windows} %"
            found["user"] = (
                f"{share} of the last {plural(self.windows, 'click')} are of one user, {shortened(user_id)}: "
                "if that is not somebody, CLICKWARDEN_FIELD_USER_ID names the wrong field"
            )
        return found

    def _misses(self, rule: Rule) -> bool:
        events = _decisive(rule)
        return bool(events) and set(events).isdisjoint(self.heard)

    def _unheard(self, rule: Rule) -> str:
        events = _decisive(rule)
        names = {plain(event): event for event in reversed(self.events)}
        meant: dict[str, None] = {}
        for wanted in map(plain, events):
            close = difflib.get_close_matches(wanted, names)
            meant |= dict.fromkeys(
                names[name] for name in names if name in close or (wanted and wanted in name)
            )
        seen = ", ".join(map(shortened, self.events[:NAMED])) + (", …" if len(self.events) > NAMED else "")
        seen = seen or "so many others that CLICKWARDEN_FIELD_EVENT may name the wrong field"
        text = (
            f"Rule {rule.name} counts {spelled(list(map(visible, events)), ' and ')}, and none of "
            f"{plural(self.clicks, 'click')} has been one; seen were {seen}"
        )
        likely = " or ".join(map(shortened, list(meant)[:NAMED]))
        return f"{text}; did you mean {likely}?" if likely else text


def _decisive(rule: Rule) -> Sequence[str]:
    """Events without which a rule never finds anybody; none where any will do."""
    return rule.measure.part if isinstance(rule.measure, Portion) else rule.events


def shortened(text: str, most: int = EXAMPLE_MAX) -> str:
    """The beginning of a text that is inert already."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _complaint(reason: str, intake: Intake, names: Mapping[str, str]) -> Complaint:
    value, detail, _ = intake.examples.get(reason, Example(b"", ""))
    # Escaped, no character becomes shorter.
    example = visible(value[: 4 * EXAMPLE_MAX].decode(errors="replace"))
    remedy = visible(cure(reason, value, names))
    return Complaint(reason, shortened(visible(detail)), shortened(example), shortened(remedy, CURE_MAX))


def _better(one: Complaint | None, other: Complaint | None) -> Complaint:
    """Of two complaints for one reason the one that has an example."""
    found = [complaint for complaint in (one, other) if complaint is not None]
    return max(found, key=lambda complaint: bool(complaint.example))


def _share(records: int, uncountable: int, *, so_far: bool) -> str:
    those = f"the {'' if so_far else 'last '}{plural(records, 'record')}"
    if uncountable == records:
        return f"None of {those} could be counted"
    return f"{uncountable:,} of {those} ({100 * uncountable // records} %) could not be counted"
