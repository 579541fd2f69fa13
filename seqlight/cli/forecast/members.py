"""``seqlight forecast --model portfolio``: several forecasters, and their weighted mean."""

from rich.console import Console
from rich.table import Table

from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.errors import CommandError
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.report import TITLES, format_error
from seqlight.data import CSVDataModule
from seqlight.experiments import Candidate, Portfolio, portfolio


def make_portfolio(given: ForecastArguments, data: CSVDataModule, console: Console) -> Portfolio:
    """Train what the time allows, weigh it, and print the members with their weights and times.

    Raises:
        CommandError: there is no validation part to weigh by.
    """
    if not len(data.dataset("val")):
        raise CommandError(
            "--model portfolio: the series are too short for a validation part, by which members are "
            "weighed; give a shorter --horizon or --context, or take --model auto"
        )

    def tell(member: Candidate) -> None:
        if member.fitted is not None:
            console.print(f"trained {member.name} in {member.seconds:.1f} s", markup=False)

    found = portfolio(
        data,
        max_time=given.max_time,
        seed=given.seed,
        epochs=given.epochs,
        progress=given.progress,
        on_member=tell,
        hidden_size=given.hidden_size,
        num_layers=given.num_layers,
        **bounds_arguments(given),
    )
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    console.print()
    console.print(member_table(found))
    return found


def member_table(found: Portfolio) -> Table:
    """One line for each member: its weight, its error on the validation part, the time it took."""
    title = f"Members, weighed on the validation part ({found.seconds:.0f} s in all)"
    table = Table(title=title, caption=caption(found), title_justify="left", caption_justify="left")
    for name in ("member", "weight", TITLES[found.error], "seconds"):
        table.add_column(name, justify="left" if name == "member" else "right")
    for row in found.table.iter_rows(named=True):
        weight = "" if row["model"] == "ensemble" else f"{row['weight']:.2f}"
        error = format_error(row[found.error])
        table.add_row(row["model"], weight, error, f"{row['seconds']:.1f}")
    return table


def caption(found: Portfolio) -> str:
    """Say whether the mean is better than its best member, and which series have weights of their own."""
    best = found.best.name
    if found.ensemble is None:
        return f"No mean of several is better than {best} alone, which has all weight."
    own = len(found.series_weights)
    sentence = "The ensemble is their weighted mean"
    if own:
        sentence += f"; {own} series have weights of their own, those shown are of the others"
    return f"{sentence}."


def options_of(found: Portfolio) -> dict[str, Candidate]:
    """Return the ensemble and its members by their names, the simplest last."""
    return {candidate.name: candidate for candidate in found.candidates}
