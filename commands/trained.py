"""``faust -A app trained``: the models of a pipeline that workers score by, and who of them is in charge."""

from pathlib import Path

import click
import msgspec
from faust.cli import argument, option

from app import succession
from app.main import settings
from clickwarden.detection.lineup import Lineup, promoted, released, shadowed
from clickwarden.errors import ModelError
from clickwarden.models import artefact
from commands.appointed import appoint, model_of, models_of
from commands.changing import console
from commands.command import Action, group
from commands.terminal import whole_table

PIPELINE = argument("pipeline", type=click.Path(path_type=Path))
VERSION = argument("version")
WHY = option("--why", metavar="WORDS", default="", help="Why; stands in the history.")

trained = group(
    "trained",
    """The models of PIPELINE, a folder with pipeline.toml, that workers score by.

    They are in Kafka, in the topic <app id>-models. One is the champion, whose
    alarms are told; any number are challengers, which score the same records
    beside it and tell nobody. Workers take a change up within 2 s, each
    partition at an offset that is part of its state; a model that is not what
    it says is refused in one sentence, and the one before scores on.
    """,
)


class Trained(Action):
    """Something that is done with the models of a pipeline."""

    abstract = True

    group = trained


class TrainedList(Trained):
    """Which models there are, and who of them is in charge."""

    action = "list"
    options = [PIPELINE, option("--json", "as_json", is_flag=True, help="Print one JSON array.")]  # noqa: RUF012

    async def run(self, pipeline: Path, as_json: bool) -> None:
        """Print them, those that came first at the top."""
        defined, topic = await models_of(pipeline)
        lineup, rows = topic.lineup(defined.name), []
        for version in topic.versions(defined.name):
            try:
                manifest = model_of(topic, defined, version).manifest
                about, fault = (manifest.detector, manifest.trained, manifest.threshold), ""
            except ModelError as error:
                about, fault = ("", "", 0.0), str(error)
            partitions = [
                partition
                for partition, told in topic.adopted(defined.name).items()
                if version in told[-1].lineup.versions
            ]
            rows.append((version, _role(lineup, version), *about, partitions, fault))
        if as_json or self.json:
            names = ("version", "role", "detector", "trained", "threshold", "partitions", "fault")
            print(msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]).decode())
            return
        table = whole_table("version", "role", "detector", "trained", "threshold", "scores")
        table.columns[0].no_wrap = True
        for version, role, detector, when, threshold, partitions, _ in rows:
            shown = ", ".join(map(str, partitions))
            table.add_row(version, role, detector, when and f"{when[:16]}Z", f"{threshold:.6g}", shown)
        console.print(table)
        for version, *_, fault in rows:
            if fault:
                console.print(f"{version}: {fault}")


class TrainedShow(Trained):
    """What is known of a model: its manifest, as JSON."""

    action = "show"
    options = [PIPELINE, VERSION]  # noqa: RUF012

    async def run(self, pipeline: Path, version: str) -> None:
        """Print it."""
        defined, topic = await models_of(pipeline)
        print(msgspec.json.format(msgspec.json.encode(model_of(topic, defined, version).manifest)).decode())


class TrainedPut(Trained):
    """Put the model of the folder into the topic; it scores nothing yet."""

    action = "put"
    options = [PIPELINE]  # noqa: RUF012

    async def run(self, pipeline: Path) -> None:
        """Verify it, and put it there."""
        defined, topic = await models_of(pipeline)
        version = artefact.load(defined).manifest.version
        await topic.put(defined.name, version, artefact.packed(defined))
        console.print(
            f"model {version} of {defined.name} is in {settings.models_topic}, and scores nothing yet"
        )


class TrainedPromote(Trained):
    """Put a model in charge; the one before leaves."""

    action = "promote"
    options = [PIPELINE, VERSION, WHY]  # noqa: RUF012

    async def run(self, pipeline: Path, version: str, why: str) -> None:
        """Appoint it, and say when it scores everywhere."""
        await appoint(pipeline, version, lambda lineup: promoted(lineup, version), f"promote {version}", why)


class TrainedShadow(Trained):
    """Have a model score beside the champion, and tell nobody; with --off no longer."""

    action = "shadow"
    options = [PIPELINE, VERSION, option("--off", is_flag=True, help="No longer."), WHY]  # noqa: RUF012

    async def run(self, pipeline: Path, version: str, off: bool, why: str) -> None:
        """Appoint it, and say when it scores everywhere."""
        if off:
            what = f"release {version}"
            await appoint(pipeline, version, lambda lineup: released(lineup, version), what, why)
        else:
            await appoint(
                pipeline, version, lambda lineup: shadowed(lineup, version), f"shadow {version}", why
            )


class TrainedRollback(Trained):
    """Put the champion before in charge again."""

    action = "rollback"
    options = [PIPELINE, WHY]  # noqa: RUF012

    async def run(self, pipeline: Path, why: str) -> None:
        """Appoint it, and say when it scores everywhere."""
        defined, topic = await models_of(pipeline)
        version = succession.predecessor(topic, defined)
        what = f"roll back to {version}"
        await appoint(pipeline, version, lambda lineup: promoted(lineup, version), what, why)


def _role(lineup: Lineup, version: str) -> str:
    if version == lineup.champion:
        return "champion"
    return "challenger" if version in lineup.challengers else ""
