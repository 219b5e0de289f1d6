"""What a site can rely on when a worker dies, stops, moves, or finds something it cannot use."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agents.snapshots import KEY
from clickwarden.detection.snapshot import VERSION
from clickwarden.times import isotime
from tests.site import RULES, Site, Worker, click, clicks, window_before

T = window_before(time.time())
NEVER = 600.0
STOP_SECONDS = 5.0

Sites = Callable[..., Site]


def minutes(first: int, last: int, attackers: int = 5, shoppers: int = 300) -> list[bytes]:
    """A stream in which each attacker clicks 60 times a minute, and nobody else over the threshold."""
    stream = []
    for minute in range(first, last):
        start = T + 60 * minute
        for second in range(60):
            stream += [click(f"bot-{number}", start + second) for number in range(attackers)]
            stream += [
                click(f"user-{(number + second * 7) % shoppers}", start + second) for number in range(20)
            ]
    return stream


def closing(minute: int) -> bytes:
    """A click after which the minute is closed."""
    return click("ann", T + 60 * minute + 65)


def right(site: Site) -> None:
    """The oracle finds no fault, and every click is accounted for."""
    verdict = site.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.expected == verdict.reported > 0


# -- a crash loses and invents nothing ----------------------------------------------------------------


def test_killed_in_the_middle_of_an_attack_before_any_snapshot(site: Sites) -> None:
    topic = site()
    worker = topic.start(checkpoint_interval=NEVER)
    topic.send(*minutes(0, 4))
    topic.until(lambda: topic.anomalies("closed"), worker)
    worker.kill()
    assert topic.committed()[0] == 0
    worker = topic.start()
    topic.send(*minutes(4, 6))
    topic.await_counted(worker)
    right(topic)
    assert topic.verdict().repeats > 0


def test_killed_again_and_again_while_clicks_come(site: Sites) -> None:
    topic = site(partitions=2)
    stop = threading.Event()

    def send(minute: int) -> None:
        for partition in range(topic.settings.partitions):
            stream = minutes(minute, minute + 1, attackers=5 + partition)[partition:]
            topic.send(
                *(each.replace(b'"bot-', b'"p%d-' % partition) for each in stream), partition=partition
            )

    def await_progress(worker: Worker) -> None:
        counted = sum(topic.committed().values())
        topic.until(lambda: sum(topic.committed().values()) > counted, worker)

    def attack() -> None:
        for minute in range(58):
            send(minute)
            if stop.wait(0.25):
                return

    attacking = threading.Thread(target=attack)
    attacking.start()
    try:
        for _ in range(3):
            worker = topic.start()
            await_progress(worker)
            worker.kill()
    finally:
        stop.set()
        attacking.join()
    send(58)
    assert topic.behind()
    topic.await_counted(topic.start())
    right(topic)


def test_killed_when_the_watermark_has_just_closed_a_window(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    topic.send(*minutes(0, 1))
    topic.await_counted(worker)
    topic.send(closing(0))
    topic.until(lambda: topic.anomalies("closed"), worker)
    worker.kill()
    topic.await_counted(topic.start())
    right(topic)
    assert {each["user_id"] for each in topic.anomalies("closed")} == {f"bot-{n}" for n in range(5)}


def test_killed_when_wall_clock_has_just_closed_a_window(site: Sites) -> None:
    topic = site(idle_timeout=1, lateness=0)
    worker = topic.start(checkpoint_interval=NEVER)
    topic.send(*clicks("eve", 60, T + 57, T + 60))
    (closed,) = topic.until(lambda: topic.anomalies("closed"), worker)
    worker.kill()
    worker = topic.start(idle_timeout=NEVER)
    # Only the snapshot knows that the window is over; it was not saved since.
    topic.send(click("eve", T + 59.5), click("ann", T + 61))
    topic.await_counted(worker)
    again = topic.anomalies("closed")[-1]
    circumstances = {"emitted_at": "", "worker": ""}
    assert again | circumstances == closed | circumstances
    assert closed["count"] == 60
    assert [late.about["rules"] for late in topic.late()] == ["bot"]
    right(topic)
    assert topic.verdict().excused == 1


# -- a stop is quick and clean ------------------------------------------------------------------------


@pytest.mark.alone
def test_stopped_in_the_middle_of_an_attack_its_successor_goes_on_where_it_was(site: Sites) -> None:
    topic = site()
    worker = topic.start(checkpoint_interval=NEVER)
    topic.send(*minutes(0, 2)[:-500])
    topic.until(lambda: topic.anomalies("closed"), worker)
    assert worker.terminate() < STOP_SECONDS
    assert topic.committed()[0] == topic.bounds()[0][1]
    worker = topic.start()
    topic.send(*minutes(0, 2)[-500:], closing(1))
    topic.await_counted(worker)
    right(topic)
    assert topic.verdict().repeats == 0


# -- the local copy is no more than that --------------------------------------------------------------


def test_a_lost_data_folder_is_rebuilt_from_kafka(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    stream = [*minutes(0, 2), closing(1)]
    topic.send(*stream[:2500])
    topic.await_counted(worker)
    worker.kill()
    topic.forget_data()
    worker = topic.start()
    assert worker.partitions()[0]["accepted"] == 2500
    topic.send(*stream[2500:])
    topic.await_counted(worker)
    right(topic)
    assert topic.verdict().repeats == 0


# -- work moves from one worker to another ------------------------------------------------------------


@pytest.mark.alone
def test_partitions_move_to_a_worker_that_joins_and_back_when_it_leaves(site: Sites) -> None:
    topic = site(partitions=4, session_timeout=6)

    def attack(first: int, last: int) -> None:
        for partition in range(4):
            stream = minutes(first, last, attackers=3)
            topic.send(
                *(each.replace(b'"bot-', b'"p%d-' % partition) for each in stream), partition=partition
            )

    def share(worker: Worker) -> int:
        return len(worker.partitions()) if worker.ready else 0

    one = topic.start("one")
    attack(0, 2)
    two = topic.start("two")
    topic.until(lambda: share(one) == share(two) == 2, one, two)
    attack(2, 4)
    topic.await_counted(one, two)
    assert {each["worker"] for each in topic.anomalies()} == {"one", "two"}
    attack(4, 5)
    assert two.terminate() < STOP_SECONDS
    attack(5, 6)
    topic.until(lambda: share(one) == 4, one)
    topic.await_counted(one)
    right(topic)


# -- windows that overlap -----------------------------------------------------------------------------


def slide(topic: Site) -> None:
    """Have windows of a minute begin every ten seconds."""
    rules = topic.settings.rules
    rules.write_text(rules.read_text().replace("threshold = 50", "threshold = 50\nslide = 10"))


def test_who_clicks_across_the_edge_of_a_minute_is_found_and_a_crash_tells_the_same(site: Sites) -> None:
    topic = site()
    slide(topic)
    worker = topic.start(checkpoint_interval=NEVER)
    topic.send(*clicks("eve", 50, T + 50, T + 60), *clicks("eve", 50, T + 60, T + 70))
    topic.send(*minutes(2, 4), closing(3))
    topic.until(lambda: topic.anomalies("closed"), worker)
    worker.kill()
    worker = topic.start()
    topic.send(*minutes(4, 6), *clicks("eve", 60, T + 360, T + 420), closing(7))
    topic.await_counted(worker)
    right(topic)
    assert topic.verdict().repeats > 0
    incidents: dict[str, set[str]] = {}
    for each in topic.anomalies():
        incidents.setdefault(each["user_id"], set()).add(each["incident_id"])
    assert {user: len(ids) for user, ids in incidents.items()} == {"eve": 2} | {
        f"bot-{number}": 1 for number in range(5)
    }


def test_wall_clock_and_late_clicks_where_windows_overlap(site: Sites) -> None:
    topic = site(idle_timeout=1, lateness=0)
    slide(topic)
    worker = topic.start()
    topic.send(*clicks("eve", 50, T + 40, T + 60))
    topic.until(lambda: 0 < worker.partitions()[0]["open_windows"] < 6, worker)
    topic.send(click("eve", T + 59.5), *clicks("ann", 60, T + 60, T + 70))
    topic.until(lambda: topic.anomalies("corrected"), worker)
    topic.await_counted(worker)
    worker.kill()
    topic.await_counted(topic.start())
    (late,) = (each.about for each in topic.late() if each.value == click("eve", T + 59.5))
    assert late["rules"] == "bot"
    assert f"bot/{int(T)}" in late["windows"].split(",")
    assert f"bot/{int(T) + 50}" not in late["windows"]
    right(topic)


# -- a change of the rules ----------------------------------------------------------------------------


def test_a_changed_rule_takes_effect_at_the_next_window_and_drops_no_count(site: Sites) -> None:
    topic = site()
    worker = topic.start()
    topic.send(*clicks("eve", 30, T, T + 30))
    topic.await_counted(worker)
    worker.terminate()
    # What came while nobody counted is counted under the rules of the time.
    topic.send(*clicks("bob", 30, T + 30, T + 59), closing(0), *clicks("joe", 30, T + 66, T + 110))
    topic.put(RULES.replace("threshold = 50", "threshold = 20"))
    worker = topic.start()
    topic.send(
        *clicks("joe", 31, T + 110, T + 119), closing(1), *clicks("mia", 30, T + 126, T + 170), closing(2)
    )
    topic.await_counted(worker)
    found = [(each["user_id"], each["threshold"], each["count"]) for each in topic.anomalies("closed")]
    assert found == [("joe", 50, 61), ("mia", 20, 30)]
    right(topic)


# -- loss is reported ---------------------------------------------------------------------------------


def test_late_clicks_and_suspects_without_a_place_are_told_of(site: Sites) -> None:
    topic = site(max_suspects=3)
    worker = topic.start()
    topic.send(*minutes(0, 2), closing(1), click("ann", T))
    topic.await_counted(worker)
    topic.until(lambda: "1 clicks came when their window was closed, and are counted" in worker.log, worker)
    assert "too late to be counted" not in worker.log
    assert worker.log.count("all 3 places for suspects of the window") == 2
    status = worker.partitions()[0]
    assert (status["late"], status["uncounted"], status["capped"], status["lost"]) == (1, 0, 2, 0)
    right(topic)


def test_clicks_that_came_too_late_to_be_counted_are_told_of(site: Sites) -> None:
    topic = site(late_limit=0)
    worker = topic.start()
    topic.send(*minutes(0, 2), closing(1))
    topic.await_counted(worker)
    topic.send(*clicks("ann", 60, T, T + 59))
    topic.await_counted(worker)
    said = f"60 clicks came too late to be counted; they are in {topic.settings.late_topic}"
    assert "CLICKWARDEN_LATE_LIMIT=0 s" in topic.until(lambda: said in worker.log and worker.log, worker)
    assert "and are counted" not in worker.log
    status = worker.partitions()[0]
    assert (status["late"], status["uncounted"]) == (60, 60)
    assert {(copy.about["rules"], copy.about["uncounted"]) for copy in topic.late()} == {("bot", "bot")}
    assert topic.verdict().uncounted == 60
    right(topic)


def test_late_clicks_correct_what_was_said_and_take_others_over_the_threshold(site: Sites) -> None:
    topic = site(lateness=1)
    worker = topic.start()
    topic.send(*minutes(0, 2), closing(1))
    topic.await_counted(worker)
    assert "mallory" not in {each["user_id"] for each in topic.anomalies()}
    topic.send(*clicks("bot-0", 5, T, T + 59), *clicks("mallory", 60, T, T + 59))

    def corrected() -> list[dict[str, Any]]:
        topic.send(click("ann", T + 130))  # when none has come late for a second, by Kafka's clock
        return topic.anomalies("corrected")

    told = topic.until(corrected, worker)
    assert [(each["user_id"], each["window_start"], each["count"], each["revision"]) for each in told] == [
        ("bot-0", isotime(T), 65, 1),
        ("mallory", isotime(T), 60, 1),
    ]
    topic.await_counted(worker)
    assert worker.partitions()[0]["uncounted"] == 0
    right(topic)
    assert topic.verdict().corrected == 2


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is away"])
def test_a_topic_that_was_made_anew(site: Sites, running: bool) -> None:
    topic = site()
    worker = topic.start()
    topic.send(*minutes(0, 1))
    topic.await_counted(worker)
    if not running:
        worker.terminate()
    topic.recreate()
    if not running:
        worker = topic.launch()
    topic.send(click("ann", T))
    code, log = worker.failed()
    assert code != 0
    assert "and its state is of 1500 records: the topic was made anew" in log
    assert "another CLICKWARDEN_APP_ID" in log


# -- what cannot be used is refused in words ----------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            b"CW\x63from the future",
            f"the snapshot of partition 0 has version 99, this worker reads up to {VERSION}",
        ),
        (b"CW\x01not zstandard", "the snapshot of partition 0 is broken"),
        (b"CW", "the snapshot of partition 0 is broken"),
    ],
)
def test_a_snapshot_it_cannot_read(site: Sites, row: bytes, said: str) -> None:
    topic = site()
    worker = topic.start()
    topic.send(click("ann", T))
    topic.await_counted(worker)
    worker.terminate()
    changelog = f"{topic.settings.app_id}-snapshots-changelog"
    newest = max(key for each in topic.read(changelog) if (key := each.key or b"").startswith(KEY))
    topic.send(row, key=newest, topic=changelog)
    code, log = topic.launch().failed()
    assert said in log
    assert code != 0
    assert topic.read(changelog)[-1].value == row


def test_a_state_of_more_partitions_than_the_topic_has(site: Sites) -> None:
    topic = site(partitions=2)
    topic.start().terminate()
    topic.settings = topic.settings.model_copy(update={"partitions": 1})
    topic.recreate()
    code, log = topic.launch().failed()
    assert code != 0
    assert f"{topic.settings.app_id}-snapshots-changelog" in log
    assert "CLICKWARDEN_APP_ID" in log


def test_a_broker_that_does_not_answer(site: Sites) -> None:
    code, log = site().launch(broker="kafka://127.0.0.1:1").failed()
    assert code != 0
    assert "CLICKWARDEN_BROKER=kafka://127.0.0.1:1: Kafka does not answer" in log
    assert "faust -A app broker" in log


def test_a_data_folder_that_another_worker_uses_is_refused(site: Sites) -> None:
    topic = site(partitions=2)
    worker = topic.start()
    other = topic.launch("two", data_dir=worker.settings.data_dir)
    code, said = other.failed()
    assert code == 1
    assert f"CLICKWARDEN_DATA_DIR={worker.settings.data_dir}: cannot be used" in said
    worker.kill()
    topic.start("two", data_dir=worker.settings.data_dir)


def test_a_data_folder_of_another_state_is_refused_with_the_cure(site: Sites) -> None:
    made = site()
    worker = made.start()
    made.send(*clicks("eve", 60, T, T + 50))
    made.await_counted(worker)
    worker.terminate()
    code, log = made.launch(app_id=f"{made.settings.app_id}-anew").failed()
    assert code == 1
    assert f"CLICKWARDEN_DATA_DIR={made.folder / 'one' / 'data'}: the folder has " in log
    assert "name another folder, or remove this one, which is a copy: exiting" in log
    assert "Traceback" not in log
