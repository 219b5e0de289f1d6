"""What a trial under load brought, and whether every promise was kept."""

from dataclasses import dataclass, field

from rich.table import Table

from clickwarden.audit.oracle import FAULTS, Judgement

#: What the verdict counts, as the table has it.
COUNTED = ("produced", "late", "excused", "rejected", "expected", "split", *FAULTS, "repeats")
LABELS = {"produced": "clicks", "expected": "anomalies"}


@dataclass(frozen=True)
class Outcome:
    """What a trial brought.

    Attributes:
        verdict: of the oracle.
        kills: SIGKILLs of workers.
        deaths: of workers, unbidden.
        figures: what else it counted, by name.
    """

    verdict: Judgement
    kills: int
    deaths: int
    figures: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.ok and self.verdict.accounted and not self.deaths and self.verdict.expected > 0

    @property
    def examples(self) -> dict[str, list[str]]:
        """The first few of each fault."""
        return self.verdict.examples

    def table(self) -> Table:
        """The outcome in one table."""
        table = Table("what", "figure")
        table.columns[1].justify = "right"
        self.show(table)
        return table

    def show(self, table: Table) -> None:
        """Add the outcome to a table whose first two columns are names and figures."""
        for name, figure in self.figures.items():
            table.add_row(name, f"{figure:,}")
        table.add_row("SIGKILLs of workers", f"{self.kills:,}")
        for what in COUNTED:
            count = getattr(self.verdict, what)
            style = "bold red" if what in FAULTS and count else None
            table.add_row(LABELS.get(what, what.replace("_", " ")), f"{count:,}", style=style)
        table.add_row("deaths unbidden", f"{self.deaths:,}", style="bold red" if self.deaths else None)
