"""A predictor that is judged beside others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """

    name: str
    predictor: Predictor
    fitted: Fitted[Any] | None = None
    seconds: float = 0.0

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint of its training; None where there is none."""
        return None if self.fitted is None else self.fitted.checkpoint


def trained(name: str, fitted: Fitted[Any]) -> Candidate:
    """Return the module of a training as a candidate."""
    return Candidate(name, fitted.model, fitted, fitted.seconds)
