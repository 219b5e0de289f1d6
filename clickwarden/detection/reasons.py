"""Why a suspect is an anomaly, from figures that a replay repeats."""

from collections.abc import Iterator

from clickwarden.detection.measure import Portion
from clickwarden.detection.rules import Rule, spelled
from clickwarden.detection.suspect import Suspect


def reasons(rule: Rule, suspect: Suspect, events: dict[str, int]) -> Iterator[str]:
    """Why, in words; ``events`` are the clicks looked at, by event."""
    named = [event for event in rule.events if event in events]  # not those that others would have sent
    what = [spelled(some, ", ") for some in (named, rule.clauses) if some]
    of = f" ({'; '.join(what)})" if what else ""
    sliding = f" sliding by {rule.slide} s" if rule.overlapping else ""
    counted = f"{suspect.count_high} {rule.unit}{of} in a window of {rule.window} s{sliding}"
    yield f"{counted}, threshold {rule.threshold}"
    if isinstance(rule.measure, Portion):
        yield _share(rule.measure, suspect)
    span, looked_at = suspect.last - suspect.first, sum(events.values())
    if span >= 1:
        pace = f"{looked_at / span:.1f} a second over {span:.0f} s"
        if suspect.values is None:
            yield f"{looked_at} of them counted one by one: {pace}"
        else:
            yield f"{suspect.count_low} of them known one by one, from {looked_at} clicks: {pace}"
    if len(events) == 1:
        yield f"nothing but {next(iter(events))}"
    if suspect.distinct_products:
        more = " or more" if suspect.many_products else ""
        yield f"{suspect.distinct_products}{more} distinct products"


def _share(share: Portion, suspect: Suspect) -> str:
    high, whole = suspect.part_high, suspect.count_high
    shares = f"{100 * high // whole} %"
    if suspect.part != high:
        shares = f"{100 * suspect.part // whole} to {shares}"
    least = f"{100 * float(share.at_least):g} %"
    return f"{shares} of them {spelled(share.part, ' or ')}, at least {least} were too many"


def share_of(rule: Rule, suspect: Suspect) -> tuple[float | None, float | None]:
    """The interval that holds the share that a rule wants; None where it wants none."""
    if not isinstance(rule.measure, Portion):
        return None, None
    return suspect.part / suspect.count_high, suspect.part_high / suspect.count_high
