"""Made-up records with known truth: the samples of the shipped pipelines.

``python -m clickwarden.sandbox.samples`` writes them anew into ``pipelines/``; the same seed, the same bytes.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from clickwarden import zstd

BEGIN = 1_767_225_600.0  # the year 2026
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SEED = 7
_LEVEL = 19

Row = dict[str, Any]


def flows(chance: Random) -> Iterator[Row]:
    """Three days of a network: two scans, one who guesses passwords, one who carries data away."""
    made: list[Row] = []
    for host in range(60):
        pace = chance.uniform(300, 1200)
        servers = chance.sample(range(12), 4)
        moment = chance.expovariate(1 / pace)
        while moment < 3 * DAY:
            if chance.random() < _busy(moment):
                made.append(_flow(chance, f"10.0.0.{host}", moment, f"10.0.1.{chance.choice(servers)}"))
            moment += chance.expovariate(1 / pace)
    for begin, source, scan in ((1.4 * DAY, "10.0.0.7", "ports"), (2.3 * DAY, "10.0.0.31", "hosts")):
        for number in range(250):
            target = "10.0.1.3" if scan == "ports" else f"10.0.2.{number}"
            port = str(number + 1) if scan == "ports" else "445"
            made.append(
                _flow(chance, source, begin + number * chance.uniform(0.1, 0.4), target)
                | {
                    "port": port,
                    "sent": 60,
                    "received": 0,
                    "duration": 0.0,
                    "state": "refused",
                    "failed": True,
                }
                | {"attack": f"scan of {scan}"}
            )
    made += (
        _flow(chance, "10.0.0.44", 2.6 * DAY + number * chance.uniform(2, 4), "10.0.1.5")
        | {"port": "22", "sent": chance.randint(800, 1200), "state": "established", "failed": True}
        | {"attack": "passwords"}
        for number in range(200)
    )
    made += (
        _flow(chance, "10.0.0.12", 2.8 * DAY + number * 20, "203.0.113.9")
        | {"sent": chance.randint(40_000_000, 80_000_000), "duration": 18.0, "attack": "carried away"}
        for number in range(40)
    )
    made.sort(key=lambda row: float(row["timestamp"]))
    for number, row in enumerate(made):
        yield {"flow_id": number, **row}


def _flow(chance: Random, source: str, moment: float, target: str) -> Row:
    failed = chance.random() < 0.02
    return {
        "source": source,
        "timestamp": round(BEGIN + moment, 3),
        "target": target,
        "port": chance.choices(["443", "80", "53", "22", "5432"], [60, 12, 20, 3, 5])[0],
        "protocol": chance.choices(["tcp", "udp", "icmp"], [80, 19, 1])[0],
        "state": "unanswered" if failed else "established",
        "failed": failed,
        "duration": round(chance.lognormvariate(-1, 1.5), 3),
        "sent": int(chance.lognormvariate(7, 1.2)),
        "received": 0 if failed else int(chance.lognormvariate(9, 1.5)),
        "attack": "",
    }


def measurements(chance: Random) -> Iterator[Row]:
    """Ten days of twelve machines; in four of them a bearing, a fan or a sensor gives way."""
    faults = {
        2: ("bearing", 7.0, 8.2),
        5: ("fan", 8.1, 8.6),
        8: ("sensor stuck", 6.5, 7.0),
        11: ("bearing", 9.0, 9.9),
    }
    usual = [(chance.uniform(45, 65), chance.uniform(0.8, 2.0), chance.uniform(8, 14)) for _ in range(12)]
    for step in range(10 * 144):
        day = step / 144
        for machine, (warm, shake, draw) in enumerate(usual):
            work = 1 + 0.25 * math.sin(math.tau * (day - 0.3)) + chance.gauss(0, 0.03)
            temperature = warm * (0.8 + 0.2 * work) + chance.gauss(0, 0.4)
            vibration = shake * work + chance.gauss(0, 0.05)
            current = draw * work + chance.gauss(0, 0.15)
            fault, begin, end = faults.get(machine, ("", 0.0, 0.0))
            worse = (day - begin) / (end - begin) if begin <= day < end else 0.0
            if worse and fault == "bearing":
                vibration += shake * 1.5 * worse
            elif worse and fault == "fan":
                temperature += 18 * worse
            elif worse:
                temperature, vibration, current = warm, shake, draw
            yield {
                "machine": f"press-{machine + 1:02}",
                "timestamp": round(BEGIN + day * DAY + machine, 3),
                "temperature": round(temperature, 2),
                "vibration": round(vibration, 3),
                "current": round(current, 2),
                "fault": fault if worse else "",
            }


def telemetry(chance: Random) -> Iterator[Row]:
    """Four days of 80 devices; from the third day on a botnet takes the cameras one after the other."""
    models = [chance.choices(["camera", "thermostat", "plug", "speaker"], [4, 3, 2, 1])[0] for _ in range(80)]
    taken = {
        device: 2.5 * DAY + number * 1.5 * HOUR
        for number, device in enumerate(
            [device for device, model in enumerate(models) if model == "camera"][:12]
        )
    }
    homes = [chance.sample(["cloud-1", "cloud-2", "time", "update"], 2) for _ in range(80)]
    made: list[Row] = []
    for device, model in enumerate(models):
        scale = {"camera": 400, "thermostat": 12, "plug": 6, "speaker": 80}[model]
        moment = chance.uniform(0, 20 * MINUTE)
        while moment < 4 * DAY:
            infected = moment >= taken.get(device, math.inf) and chance.random() < 0.5
            packets = int(scale * chance.lognormvariate(0, 0.4)) + 1
            row = {
                "device": f"{model}-{device:02}",
                "timestamp": round(BEGIN + moment, 3),
                "model": model,
                "peer": chance.choice(homes[device]),
                "port": "443",
                "packets": packets,
                "bytes": packets * chance.randint(90, 600),
                "load": round(min(0.99, abs(chance.gauss(0.2, 0.06))), 2),
                "infected": "",
            }
            if infected:
                row |= {
                    "peer": f"198.51.100.{chance.randint(1, 254)}",
                    "port": chance.choice(["23", "2323", "7547"]),
                }
                row |= {
                    "bytes": packets * 60,
                    "load": round(min(0.99, chance.gauss(0.55, 0.1)), 2),
                    "infected": "botnet",
                }
            made.append(row)
            moment += chance.uniform(15, 25) * MINUTE
    yield from sorted(made, key=lambda row: float(row["timestamp"]))


def _busy(moment: float) -> float:
    """How much of the usual there is at a time of day."""
    return 0.55 + 0.45 * math.sin(math.tau * (moment / DAY - 0.3))


SAMPLES: dict[str, Callable[[Random], Iterator[Row]]] = {
    "intrusion": flows,
    "maintenance": measurements,
    "iot": telemetry,
}


def sample(name: str, seed: int = SEED) -> bytes:
    """The sample of a pipeline, as NDJSON."""
    return msgspec.json.Encoder().encode_lines(list(SAMPLES[name](Random(seed))))


if __name__ == "__main__":
    for made in SAMPLES:
        Path("pipelines", made, "sample.ndjson.zst").write_bytes(zstd.compress(sample(made), _LEVEL))
