"""A predictor that is judged beside others, and how it is made again of more data."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqlight.data import ForecastDataModule
from seqlight.experiments.training import Fitted
from seqlight.predictor import Predictor


@dataclass(frozen=True)
class Candidate:
    """A predictor that is judged beside others, and what it took to make it.

    Attributes:
        name: what tables call it.
        predictor: the predictor.
        fitted: its training, if it was trained by :func:`seqlight.experiments.fit`.
        seconds: wall-clock time that it took to make.
        again: makes it again of other data, all of whose rows are for training, in no more than so many
            seconds (None for no limit); None for a predictor that nothing is fitted for.
        members: of an ensemble, the names of the candidates that it is the mean of, in the order of its
            members.
    """

    name: str
    predictor: Predictor
    fitted: Fitted[Any] | None = None
    seconds: float = 0.0
    again: Callable[[ForecastDataModule, float | None], "Candidate"] | None = None
    members: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint of its training; None where there is none."""
        return None if self.fitted is None else self.fitted.checkpoint


def trained(
    name: str,
    fitted: Fitted[Any],
    again: Callable[[ForecastDataModule, float | None], Candidate] | None = None,
) -> Candidate:
    """Return the module of a training as a candidate."""
    return Candidate(name, fitted.model, fitted, fitted.seconds, again)
