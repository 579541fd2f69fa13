"""``seqlight forecast --model auto``: several forecasters, and their weighted mean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from seqlight.cli.bounds_arguments import bounds_arguments
from seqlight.cli.forecast.arguments import ForecastArguments
from seqlight.cli.report import TITLES, format_error
from seqlight.cli.training_summary import epochs_summary
from seqlight.cli.wording import as_options
from seqlight.data import CSVDataModule
from seqlight.experiments import Candidate, Portfolio, portfolio
from seqlight.experiments.refitting import share_of_time


def make_portfolio(given: ForecastArguments, data: CSVDataModule, console: Console) -> Portfolio:
    """Train what the time allows, weigh it, and print the members with their weights and times.

    With ``--refit`` the members have the share of the time that making them again leaves.
    """

    def tell(member: Candidate) -> None:
        if member.fitted is not None:
            fitted = member.fitted
            if fitted.ended == "time":  # a note tells all for which its share was short
                fitted = replace(fitted, ended="whole")
            summary = epochs_summary(fitted, given.max_time)
            console.print(f"trained {member.name}: {summary}", markup=False)

    with progress_bar(given, console) as advance:
        found = portfolio(
            data,
            max_time=given.max_time * (share_of_time(data) if given.refit else 1.0),
            seed=given.seed,
            epochs=given.epochs,
            on_member=tell,
            on_progress=advance,
            hidden_size=given.hidden_size,
            num_layers=given.num_layers,
            **bounds_arguments(given),
        )
    for note in found.notes:
        console.print(f"note: {as_options(note)}", markup=False)
    console.print()
    console.print(member_table(found))
    return found


@contextmanager
def progress_bar(given: ForecastArguments, console: Console) -> Iterator[Callable[[str, float], None]]:
    """Show a bar of all members on a terminal; yields what is told the one being made and the share done."""
    if not given.progress or not console.is_terminal:
        yield lambda title, done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda title, done: progress.update(task, description=title, completed=done)


def member_table(found: Portfolio) -> Table:
    """One line for each member: its weight, its error on the validation part, the time it took."""
    title = f"Members, weighed {weighed_on(found.origins)} ({found.seconds:.0f} s in all)"
    table = Table(title=title, caption=caption(found), title_justify="left", caption_justify="left")
    for name in ("member", "weight", TITLES[found.error], "seconds"):
        table.add_column(name, justify="left" if name == "member" else "right")
    for row in found.table.iter_rows(named=True):
        weight = "" if row["model"] == "ensemble" else f"{row['weight']:.2f}"
        error = format_error(row[found.error])
        table.add_row(row["model"], weight, error, f"{row['seconds']:.1f}")
    return table


def weighed_on(origins: int) -> str:
    """Say on which windows members were weighed."""
    return "on the validation part" if origins == 1 else f"at {origins} past origins"


def caption(found: Portfolio) -> str:
    """Say whether the mean is better than its best member, and which series have weights of their own."""
    best = found.best.name
    if found.ensemble is None:
        return f"No mean of several is better than {best} alone, which has all weight."
    own = len(found.series_weights)
    sentence = "The ensemble is their weighted mean"
    if own:
        one = own == 1
        sentence += (
            f"; {own} series {'has' if one else 'have'} weights of {'its' if one else 'their'} own, those "
            "shown are of the others"
        )
    return f"{sentence}."
