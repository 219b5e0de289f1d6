"""Which field of somebody's records is the user, the event, the time and the product, and how sure that is.

Names say it, and values may contradict them: a user who is the same in all records, a time that is the same,
or is in the future. What is not sure says why.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, TypeAlias

from clickwarden.formats.candidates import (
    Candidate,
    candidates_of,
    is_same,
    pattern_of,
    patterns_of,
    surroundings_of,
    times_of,
)
from clickwarden.formats.likelihood import ALWAYS, DAY, Judged, Likelihood, may_be_event, may_be_product
from clickwarden.formats.naming import CERTAIN, TELLING, name_score
from clickwarden.formats.specimens import Specimen
from clickwarden.formats.timestamps import UNITS

Confidence: TypeAlias = Literal["sure", "likely", "a guess"]

#: Scores this near are close; values this far apart, seconds, are different times.
CLOSE, APART = 13, 60.0
#: A name below it says where something was done, if anything, and not what.
VAGUE = 60
#: What is less likely to be a time than this is none.
HARDLY = 20
#: Places with | between, of which the first that is there counts.
PLACES = 3


@dataclass(frozen=True)
class Guess:
    """Where a field of a click stands.

    Attributes:
        setting: what the setting that says so is to say.
        confidence: how sure that is.
        reason: why, in words.
        examples: what stands there, some different ones.
        doubts: what speaks against it, in words.
    """

    setting: str
    confidence: Confidence
    reason: str
    examples: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inference:
    """Where the fields of clicks stand, by our own names; of a product there may be nothing to say.

    Attributes:
        guesses: of each field.
        pattern: of times in text; empty where none is needed.
    """

    guesses: Mapping[str, Guess]
    pattern: str = ""

    @property
    def names(self) -> dict[str, str]:
        """Where the fields stand, as a decoder wants it."""
        ours = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
        return ours | {name: guess.setting for name, guess in self.guesses.items()}


def infer(specimens: Sequence[Specimen], events: Collection[str], *, in_kafka: bool) -> Inference:
    """Where the fields of clicks stand, most likely.

    Args:
        specimens: of somebody's records, at least one.
        events: that rules name.
        in_kafka: the records' time stamps are Kafka's, and not of the moment at which a file is read.
    """
    return _Inferring(specimens, frozenset(map(str.lower, events)), in_kafka=in_kafka).infer()


class _Inferring:
    def __init__(self, specimens: Sequence[Specimen], events: Collection[str], *, in_kafka: bool) -> None:
        self._likelihood = Likelihood(specimens, events, in_kafka=in_kafka)
        self._in_kafka = in_kafka
        self._fields = candidates_of(specimens)
        self._all = self._fields + surroundings_of(specimens)
        self._taken: set[str] = set()

    def infer(self) -> Inference:
        time, pattern = self._time()
        guesses = {"timestamp": time}
        self._take(time)
        guesses["user_id"] = self._user()
        self._take(guesses["user_id"])
        guesses["event"] = self._event(guesses["user_id"])
        self._take(guesses["event"])
        product = self._product()
        if product is not None:
            guesses["product_id"] = product
            far = {one.place for one in self._fields if not one.is_near}
            if self._taken <= far and product.setting not in far:
                # A CloudEvent that knows all three is the click itself, and its product is within.
                guesses["product_id"] = replace(product, setting=f"data.{product.setting}")
        return Inference({name: guesses[name] for name in sorted(guesses, key=ORDER.index)}, pattern)

    def _take(self, guess: Guess) -> None:
        self._taken.update(guess.setting.split("|"))

    def _judged(self, field: str, places: Sequence[Candidate]) -> list[Judged]:
        """What may be this field, the likeliest first."""
        judge = getattr(self._likelihood, field)
        free = (one for one in places if one.present and one.place not in self._taken)
        return sorted(filter(None, map(judge, free)), key=lambda one: -one.score)

    def _time(self) -> tuple[Guess, str]:
        found = self._judged("timestamp", self._all)
        if not found or found[0].score < HARDLY:
            return self._stamp(found), ""
        best, *others = found
        patterns = patterns_of(best.candidate)
        pattern = next(iter(patterns), "")
        times = times_of(best.candidate, pattern)
        doubts = [f"{other} would read it, too" for other in patterns[1:]]
        for other in others:
            apart = _apart(times, times_of(other.candidate, pattern_of(other.candidate)))
            if other.score >= best.score - CLOSE and apart > APART:
                doubts.append(f"{other.candidate.place} is a time too, {_span(apart)} from it")
        return self._guess("timestamp", best, others, doubts, _spelling(best.candidate, pattern)), pattern

    def _stamp(self, found: Sequence[Judged]) -> Guess:
        """Kafka's own time, where no field has one."""
        doubt = "no field holds a moment that can be read"
        named = [one for one in self._fields if one.present and name_score("timestamp", one.names) >= CERTAIN]
        if found:
            best = found[0]
            doubt = (
                f"{best.candidate.place} may be one: {'; '.join(best.doubts) or 'its name does not say so'}"
            )
        elif named:
            doubt = f"{named[0].place} cannot be read as a time, as {next(iter(named[0].counted))!r:.40}"
        reason = "the record's own time stamp in Kafka stands in"
        if self._in_kafka:
            return Guess("@timestamp", "likely", reason, (), (doubt,))
        return Guess("@timestamp", "a guess", f"{reason}; in a file there is none", (), (doubt,))

    def _user(self) -> Guess:
        found = self._judged("user_id", self._all)
        if not found:
            reason = "nothing in the records looks like a user"
            return Guess("user_id", "a guess", reason, (), ("no field says who clicks",))
        best, *others = found
        doubts = [
            f"{other.candidate.place} may be the user too ({_various(other.candidate)})"
            for other in others
            if other.score >= best.score - CLOSE
            and other.candidate.share >= ALWAYS
            and not is_same(best.candidate, other.candidate)
        ]
        return self._guess("user_id", best, others, doubts[:2], _various(best.candidate))

    def _event(self, user: Guess) -> Guess:
        found = self._judged("event", self._all)
        if not found:
            return self._no_event(user)
        best, *others = found
        rivals = [
            other
            for other in others
            if other.score >= best.score - CLOSE
            and other.candidate.share >= ALWAYS
            and not other.candidate.is_constant
            and not is_same(best.candidate, other.candidate)
        ]
        doubts = [
            f"{other.candidate.place} may be it too ({_various(other.candidate)})" for other in rivals[:1]
        ]
        if name_score("event", best.candidate.names) < VAGUE:
            doubts.append(self._no_text() or "its name does not say that it is what was done")
        return self._guess("event", best, others, doubts, _various(best.candidate), least=15)

    def _no_event(self, user: Guess) -> Guess:
        """Any text, so that the records can be read."""
        doubt = self._no_text() or "no text says what was done: rules that name events count nothing"
        texts = [one for one in self._fields if one.share >= ALWAYS and all(map(may_be_event, one.present))]
        if not texts:
            return Guess(user.setting, "a guess", "there is no other text", (), (doubt,))
        # A time is the last that anybody would take.
        fewest = min(texts, key=lambda one: (name_score("timestamp", one.names) >= TELLING, len(one.counted)))
        return Guess(fewest.place, "a guess", "any text will do", _examples(fewest), (doubt,))

    def _no_text(self) -> str:
        """Why a field that is called an event is none; empty where there is no such field."""
        for one in self._fields:
            if name_score("event", one.names) >= CERTAIN and not all(map(may_be_event, one.present)):
                return f"{one.place} is not always short text, which an event must be"
        return ""

    def _product(self) -> Guess | None:
        found = self._judged("product_id", self._fields)
        if found:
            best, *others = found
            return self._guess(
                "product_id", best, others, [], _various(best.candidate), least=best.score - 20, needed=False
            )
        usual = [one for one in self._fields if one.names[0] == "product_id"]
        if any(len(one.names) > 1 or not all(map(may_be_product, one.present)) for one in usual):
            # Left where it is by default, it would have clicks rejected.
            return Guess("@header:product_id", "a guess", "product_id is neither text nor a whole number")
        return None

    def _guess(
        self,
        field: str,
        best: Judged,
        others: Sequence[Judged],
        doubts: Sequence[str],
        values: str,
        *,
        least: float = 50,
        needed: bool = True,
    ) -> Guess:
        """A guess of the best, and of the others that stand in where it is missing and score ``least``."""
        one = best.candidate
        places, missing = _filled(best, [other for other in others if other.score >= least])
        said = [*best.doubts, *doubts]
        if missing and needed:
            said.append(f"{missing:,} of {len(one.values):,} have none")
        reason = "its name says so" if name_score(field, one.names) >= TELLING else "by its values alone"
        if field == "user_id" and self._likelihood.is_key(one):
            reason += ", and it is the record's key"
        if not one.is_near and not one.place.startswith("@"):
            reason += ", in the envelope"
        confidence: Confidence = "likely" if best.score >= TELLING else "a guess"
        if best.score >= CERTAIN and not said:
            confidence = "sure"
        return Guess("|".join(places), confidence, f"{reason}; {values}", _examples(one), tuple(said))


#: In which fields are told of.
ORDER = ("user_id", "event", "timestamp", "product_id")


def _filled(best: Judged, others: Sequence[Judged]) -> tuple[list[str], int]:
    """The places of which the first that is there counts, and how many things have nothing in any."""
    places, empty = [best.candidate.place], [value in (None, "") for value in best.candidate.values]
    for other in others:
        if len(places) == PLACES or sum(empty) <= (1 - ALWAYS) * len(empty):
            break
        if other.candidate.names[: len(best.candidate.names)] == best.candidate.names:
            continue  # where that is, an object stands in the best's place
        left = [gap and value in (None, "") for gap, value in zip(empty, other.candidate.values, strict=True)]
        if sum(empty) - sum(left) >= max(1, 0.01 * len(empty)):
            places.append(other.candidate.place)
            empty = left
    return places, sum(empty)


def _spelling(one: Candidate, pattern: str) -> str:
    """How times are written, in words."""
    value = one.present[0]
    if pattern:
        return f"written as {pattern}"
    if isinstance(value, str) and not re.fullmatch(r"[\d.]+", value.strip()):
        return "ISO-8601"
    names = ("nano", "micro", "milli")
    unit = next((name for name, (least, _) in zip(names, UNITS, strict=True) if float(value) >= least), "")
    return f"epoch {unit}seconds"


def _apart(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float:
    """Seconds between the two, as a rule."""
    pairs = [abs(a - b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return median(pairs) if pairs else 0.0


def _span(apart: float) -> str:
    units = ((DAY, "days"), (3600.0, "hours"), (60.0, "minutes"))
    return next(f"{apart / size:,.0f} {unit}" for size, unit in units if apart >= size)


def _various(one: Candidate) -> str:
    return f"{len(one.counted):,} different in {len(one.present):,}"


def _examples(one: Candidate) -> tuple[str, ...]:
    return tuple(list(one.counted)[:3])
