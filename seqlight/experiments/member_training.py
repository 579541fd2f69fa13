"""Training of a portfolio's networks, each in its share of the time, until an interrupt."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from seqlight.data import ForecastDataModule, WindowDataModule
from seqlight.experiments.candidates import Candidate, trained
from seqlight.experiments.members import Network
from seqlight.experiments.network_training import Build, training_again
from seqlight.experiments.time_shares import schedule
from seqlight.experiments.training import TrainingError, fit
from seqlight.models import load


@dataclass
class Making:
    """What there is of a portfolio so far.

    Attributes:
        members: those that are made, the simplest first.
        left_out: titles of networks for which there was no time.
        shortened: titles of networks whose training was shorter than usual, for lack of time.
        notes: what else went otherwise than planned, one sentence each.
        interrupted: whether nothing more is to be trained.
    """

    members: list[Candidate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    shortened: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def sentences(self) -> list[str]:
        """What was left out or cut short, and why."""
        notes = list(self.notes)
        if self.left_out:
            notes.append(f"left out for lack of time (max_time): {', '.join(self.left_out)}")
        if self.shortened:
            names = ", ".join(self.shortened)
            notes.append(
                f"fewer steps of training than usual for lack of time (max_time): {names}; more may give a "
                "better forecast"
            )
        return notes


class _Progress(Callback):
    """Tells the share of a training that is done."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell = tell

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *unused: Any) -> None:
        """Tell the share of the steps."""
        whole = (trainer.max_epochs or 1) * trainer.num_training_batches
        self.tell(min(1.0, trainer.global_step / max(whole, 1)))


def train_member(
    network: Network,
    build: Build,
    data: WindowDataModule,
    made: Making,
    *,
    share: float,
    seed: int,
    epochs: int | None,
    folder: Path,
    tell: Callable[[float], None],
) -> Candidate | None:
    """Train a network in its share of the time; None, with a note, where nothing comes of it.

    Args:
        network: its name and title, and what makes it for ``data``.
        build: makes it for any data.
        data: a DataModule that is set up.
        made: what there is so far; notes are added.
        share: seconds.
        seed: of all random numbers.
        epochs: number of epochs; None for as many as the time allows, up to the usual number.
        folder: for its checkpoint.
        tell: called with the share of the training that is done.

    """
    began = time.monotonic()
    torch.manual_seed(seed)
    planned: dict[str, Any] = {"epochs": epochs}
    if epochs is None:
        found = None
        if share > 0:
            untrained = network.build()  # which may begin as a linear forecast
            share -= time.monotonic() - began
            found = schedule(untrained, data, share)
        if found is None:
            made.left_out.append(network.title)
            return None
        planned = {"epochs": found.epochs, "batches_per_epoch": found.batches_per_epoch}
        if not found.whole:
            made.shortened.append(network.title)
    failure = ""
    again_of = partial(
        training_again, build, name=network.title, windows=len(data.dataset("train")), seed=seed
    )
    with interrupts(made):
        try:
            fitted = fit(
                network.build,
                data,
                seed=seed,
                max_time=max(share, 1.0),
                folder=folder,
                callbacks=[_Progress(tell)],
                **planned,
            )
        except TrainingError as error:
            failure = str(error)
        else:
            again = again_of(steps=fitted.best_step, seconds_per_step=fitted.seconds / max(fitted.steps, 1))
            if fitted.ended == "time" and network.title not in made.shortened:
                made.shortened.append(network.title)
            return trained(network.title, replace(fitted, checkpoint=None), again)  # its folder goes
    if network.title in made.shortened:
        made.shortened.remove(network.title)
    best = folder / "best.ckpt"
    if failure or not best.exists():
        made.notes.append(f"{network.title}: left out, {failure or 'interrupted before its first epoch'}")
        return None
    made.notes.append(f"{network.title}: interrupted, its best epoch so far is used")
    seconds = time.monotonic() - began
    done = int(torch.load(best, weights_only=True)["global_step"])
    again = again_of(steps=done, seconds_per_step=seconds / max(done, 1))
    return Candidate(network.title, load(best), seconds=seconds, again=again)


@contextmanager
def interrupts(made: Making) -> Iterator[None]:
    """Take an interrupt for the end of what is being made; Lightning turns it into an exit of the process.

    So is SIGTERM, by which ``timeout``, batch systems and containers end a process, unless it is handled.
    """
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    if ends := in_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        made.interrupted = True
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise  # it is not Lightning's
        made.interrupted = True
    finally:
        if in_main and signal.getsignal(signal.SIGINT) != handler:
            signal.signal(signal.SIGINT, handler)
        if ends:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def members_again(
    members: Sequence[Candidate], more: ForecastDataModule, max_time: float | None
) -> list[Candidate]:
    """Make members again of more data, those that are trained by steps in shares of the time.

    Args:
        members: the simple ones first.
        more: a DataModule, all of whose rows are for training.
        max_time: seconds for all together; None for no limit.

    """
    started = time.monotonic()
    made = []
    for number, member in enumerate(members):
        if member.again is None:  # nothing is fitted for it
            made.append(member)
            continue
        share = None
        if max_time is not None:
            to_come = sum(one.seconds for one in members[number:])
            left = max(0.0, max_time - (time.monotonic() - started))
            share = left * member.seconds / to_come if to_come else left
        made.append(replace(member.again(more, share), name=member.name))
    return made
