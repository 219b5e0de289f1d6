"""What rules and counts mean, in words."""

from collections.abc import Sequence
from typing import NamedTuple

from clickwarden.detection.measure import Distinct, Measure, Portion
from clickwarden.detection.owasp import THREATS
from clickwarden.detection.rules import Rule, spelled


def owasp_label(threat: str) -> str:
    """The name of an OWASP automated threat; empty for another's.

    >>> owasp_label("OAT-008"), owasp_label("ours")
    ('Credential Stuffing', '')
    """
    return THREATS.get(threat, "")


def duration(seconds: int) -> str:
    """Seconds in words, in the largest unit that divides them.

    >>> duration(60), duration(600), duration(90), duration(7200), duration(86400)
    ('1 minute', '10 minutes', '90 seconds', '2 hours', '1 day')
    """
    units = {86_400: "day", 3_600: "hour", 60: "minute", 1: "second"}
    size = next(size for size in units if seconds % size == 0)
    return plural(seconds // size, units[size])


def plural(count: int, noun: str, many: str = "") -> str:
    """A number with its noun, of which there are ``many``, where an s does not say that.

    >>> plural(1, "click"), plural(10_000, "click"), plural(2, "anomaly", "anomalies")
    ('1 click', '10,000 clicks', '2 anomalies')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def amount(count: int, distinct: str | None = None) -> str:
    """So many of what a rule counts: clicks, or different values of a field.

    >>> amount(1), amount(1234), amount(60, "product_id")
    ('1 click', '1,234 clicks', '60 different values of product_id')
    """
    if distinct is None:
        return plural(count, "click")
    return f"{plural(count, 'different value')} of {distinct}"


def visible(text: str) -> str:
    r"""A stranger's text as a terminal or a log may show it: what it would obey or hide is escaped.

    >>> print(visible("\x1b[2Jeve\u202e"))
    \x1b[2Jeve\u202e
    """
    return repr(text)[1:-1]


def limit(rule: Rule) -> str:
    """What it takes to break a rule.

    >>> limit(Rule(name="bot", window=60, threshold=50))
    'more than 50 clicks in 1 minute'
    >>> limit(Rule(name="logins", window=600, threshold=1, events=("login", "login_failed")))
    'more than 1 click (login or login_failed) in 10 minutes'
    >>> limit(Rule(name="bot", window=60, threshold=50, slide=10))
    'more than 50 clicks in 1 minute, sliding by 10 seconds'
    >>> limit(Rule(name="errors", window=60, threshold=50, events=("view",), where={"status": ">= 400"}))
    'more than 50 clicks (view; status >= 400) in 1 minute'
    >>> limit(Rule(name="reader", window=600, threshold=300, count="distinct product_id"))
    'more than 300 different values of product_id in 10 minutes'
    >>> limit(Rule(name="guesser", window=60, threshold=9, share="failed of login, failed", at_least=0.9))
    'more than 9 clicks (login or failed) in 1 minute, at least 90 % of them failed'
    """
    sliding = f", sliding by {duration(rule.slide)}" if rule.overlapping else ""
    counted = _counted(rule.threshold, rule.events, rule.measure, rule.clauses)
    words = f"more than {counted} in {duration(rule.window)}{sliding}"
    return f"{words}, {_share(rule.measure)}" if isinstance(rule.measure, Portion) else words


def _counted(count: int, events: Sequence[str], measure: Measure, clauses: Sequence[str] = ()) -> str:
    noun = amount(count, measure.field if isinstance(measure, Distinct) else None)
    what = "; ".join(([spelled(events, " or ")] if events else []) + list(clauses))
    return noun + (f" ({what})" if what else "")


def _share(share: Portion) -> str:
    return f"at least {_part(share)}"


def _below(share: Portion) -> str:
    return f"less than {_part(share)}"


def _part(share: Portion) -> str:
    return f"{100 * float(share.at_least):g} % of them {spelled(share.part, ' or ')}"


def normal(threshold: int, events: Sequence[str], window: int, measure: Measure = None) -> str:
    """What a rule lets pass, with its window in seconds.

    >>> normal(50, ("view",), 60)
    'at most 50 clicks (view) in 1 minute, one every 1.2 s'
    >>> share = Rule(name="a", window=60, threshold=9, share="failed of login, failed", at_least=0.9).measure
    >>> normal(9, ("login", "failed"), 60, share)
    'at most 9 clicks (login or failed) in 1 minute, one every 6.7 s, or less than 90 % of them failed'
    """
    pace = f"one every {window / threshold:,.1f} s"
    words = f"at most {_counted(threshold, events, measure)} in {duration(window)}, {pace}"
    return f"{words}, or {_below(measure)}" if isinstance(measure, Portion) else words


class Count(NamedTuple):
    """What a user was counted with in one window of a rule that it broke; window in seconds."""

    rule: str
    window: int
    start: str
    threshold: int
    low: int
    high: int
    events: Sequence[str]
    measure: Measure = None


def counterfactual(count: Count) -> str:
    """The smallest change of behaviour that would have kept a user below the threshold.

    >>> print(counterfactual(Count("bot", 60, "2015-05-18T08:05:00Z", 50, 84, 108, ())))
    34 to 58 clicks fewer in the minute from 2015-05-18 08:05:00 UTC: at most 50 clicks in 1 minute, one every 1.2 s, stay below rule bot
    >>> print(counterfactual(Count("bot", 60, "2015-05-18T08:05:00Z", 50, 27, 51, ("view",))))
    At most 1 click (view) fewer in the minute from 2015-05-18 08:05:00 UTC: at most 50 clicks (view) in 1 minute, one every 1.2 s, stay below rule bot; with 27 clicks counted for certain, it may have stayed below
    >>> share = Rule(name="a", window=60, threshold=9, share="failed of login, failed", at_least=0.9).measure
    >>> print(counterfactual(Count("a", 60, "2015-05-18T08:05:00Z", 9, 20, 20, ("login", "failed"), share)))
    11 clicks (login or failed) fewer in the minute from 2015-05-18 08:05:00 UTC: at most 9 clicks (login or failed) in 1 minute, one every 6.7 s, or less than 90 % of them failed, stay below rule a
    """  # noqa: E501
    upper = count.high - count.threshold
    lower = max(1, count.low - count.threshold)
    certain = count.low > count.threshold
    fewer = _counted(upper, count.events, count.measure)
    if not certain:
        fewer = f"At most {fewer}"
    elif lower < upper:
        fewer = f"{lower:,} to {fewer}"
    kept = f"{normal(count.threshold, count.events, count.window, count.measure)},"
    start = f"{count.start[:10]} {count.start[11:19]} UTC"
    fewer += f" fewer in the {duration(count.window).removeprefix('1 ')} from {start}"
    words = f"{fewer}: {kept} stay below rule {count.rule}"
    if certain:
        return words
    counted = _counted(count.low, (), count.measure)
    return f"{words}; with {counted} counted for certain, it may have stayed below"
