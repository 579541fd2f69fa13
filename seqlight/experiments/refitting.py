"""Training the model in use again, on all that is known."""

from dataclasses import replace

from seqlight.data import ForecastDataModule, Splitter
from seqlight.experiments.candidates import Candidate
from seqlight.models import EnsembleForecaster, SeqlightModule
from seqlight.models.lightning.trained_until import last_targets
from seqlight.predictor import Predictor


def all_training(data: ForecastDataModule) -> ForecastDataModule:
    """Return the same series with all that is known of them in the training part."""
    splitter = Splitter(
        data.context_length, data.prediction_length, val_size=0.0, calibration_size=0.0, test_size=0.0
    )
    return data.until(None, splitter)


def refit(candidate: Candidate, data: ForecastDataModule, *, max_time: float | None = None) -> Candidate:
    """Make a candidate again of all that is known, validation and test parts too.

    It cannot be judged any more: it remembers up to which time of each series it was trained, and is refused
    by tests, comparisons and backtests of earlier targets. The errors that go with it are those of
    ``candidate``, from before.

    Args:
        candidate: a candidate; one that nothing is fitted for is returned as it is.
        data: the series.
        max_time: seconds after which training ends.

    Raises:
        ValueError: a candidate that was fitted, but does not say how it is made again.

    """
    if candidate.again is None:
        if _is_fitted(candidate.predictor):
            raise ValueError(
                f"candidate: expected one that can be made again, {candidate.name!r} was fitted and has no "
                "way to be (its again is None); give it one, or take one of "
                "seqlight.experiments.train_forecaster, baselines or portfolio"
            )
        return candidate
    everything = all_training(data)
    made = candidate.again(everything, max_time)
    if isinstance(made.predictor, SeqlightModule):
        made.predictor.trained_until = last_targets(everything, everything.ends)
    return replace(made, name=candidate.name)


def _is_fitted(predictor: Predictor) -> bool:
    """Return whether anything was learned of data: weights, or those of an ensemble."""
    if isinstance(predictor, EnsembleForecaster):
        return True
    return isinstance(predictor, SeqlightModule) and any(True for _ in predictor.parameters())


def share_of_time(data: ForecastDataModule) -> float:
    """Return the share of the time that training may take where the model is to be made again after it.

    Made again, it takes as many steps more as there are more windows, so that is how the time is divided.
    """
    windows = len(data.dataset("train"))
    return windows / (windows + len(all_training(data).dataset("train")))
