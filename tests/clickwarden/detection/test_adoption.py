"""What is told of a partition's rules is what its state holds, whoever told something else before."""

from clickwarden.detection import adoption
from clickwarden.detection.adoption import Adoption, AdoptionRows, adoptions_of
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings

FIRST, SECOND, THIRD = (
    (Rule(name="bot", window=60, threshold=threshold, events=("view",)),) for threshold in (50, 20, 30)
)


def counted(offset: int | None, rules: tuple[Rule, ...] = FIRST) -> Detection:
    detection = Detection(0, rules, Settings(_env_file=None))
    if offset is not None:
        detection.advance(offset)
    return detection


def test_a_partition_begins_with_its_rules() -> None:
    assert adoptions_of(counted(None), []) == [Adoption(0, FIRST)]


def test_one_of_a_release_that_told_nothing_is_told_of_from_where_it_is() -> None:
    assert adoptions_of(counted(100), []) == [Adoption(100, FIRST)]


def test_what_is_planned_is_told_and_stays_when_it_is_adopted() -> None:
    detection = counted(100)
    detection.plan(SECOND, 120)
    detection.plan(THIRD, 120)
    told = [Adoption(0, FIRST), Adoption(120, SECOND), Adoption(120, THIRD)]
    assert adoptions_of(detection, told[:1]) == told
    detection.adopt(120)
    detection.advance(121)
    assert adoptions_of(detection, told) == told


def test_what_a_dead_owner_planned_and_did_not_save_is_left_out() -> None:
    known = [Adoption(0, FIRST), Adoption(100, SECOND), Adoption(150, THIRD)]
    assert adoptions_of(counted(100), known) == known[:1]


def test_what_was_planned_and_saved_but_not_told_is_told() -> None:
    detection = counted(100)
    detection.plan(SECOND, 120)
    assert adoptions_of(detection, [Adoption(0, FIRST)]) == [Adoption(0, FIRST), Adoption(120, SECOND)]


def test_it_is_read_as_it_was_written() -> None:
    told = [Adoption(0, FIRST), Adoption(7, (*SECOND, *THIRD)), Adoption(9, ()), Adoption(12, FIRST)]
    assert adoption.load(adoption.dump(told)) == told


def test_the_newest_owner_is_right_whatever_comes_later() -> None:
    rows = AdoptionRows()
    old, new, zombie = (Adoption(offset, FIRST) for offset in (0, 20, 10))
    for owner, told in (("0001/0000", old), ("0002/0000", new), ("0001/0000", zombie)):
        rows.take(3, owner, adoption.dump([told]))
    assert rows.last == {3: new}
    assert rows.older(3, "0002/0000") == {"0001/0000": adoption.dump([zombie])}
    rows.take(3, "0002/0000", None)
    assert rows.last == {3: zombie}


def test_what_a_newer_release_tells_is_known_to_be_told() -> None:
    rows = AdoptionRows()
    rows.take(3, "0001/0000", adoption.dump([Adoption(0, FIRST)]))
    rows.take(3, "0002/0000", b'[[{"name":"newer","window":60,"threshold":5,"slope":3}],[[0,[0]]]]')
    assert rows.last == {3: None}
