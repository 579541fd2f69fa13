"""Backtests while a Trainer validates or tests."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from seqlight.callbacks import write_csv
from seqlight.data import ForecastDataModule, Splitter
from seqlight.experiments.backtesting import Backtest, backtest
from seqlight.predictor import Predictor

ERRORS = ("mae", "rmse", "mase", "smape")


class BacktestCallback(Callback):
    """Backtests the forecaster whenever a Trainer validates or tests, and logs the errors.

    The windows end with each series' validation part, in ``fit`` and ``validate``, or with its test part, in
    ``test``; each begins ``step_size`` steps before the next one, so that no window overlaps another unless
    it is wanted. The model is the one that is being trained, with what it has learned so far: it is not
    fitted again. Logged are ``backtest_mae``, ``backtest_rmse``, ``backtest_mase`` (scaled by what came
    before each window) and ``backtest_smape``, which ``ModelCheckpoint`` and ``EarlyStopping`` can monitor.

    Example::

        >>> watched = BacktestCallback(windows=4)
        >>> Trainer(callbacks=[watched, EarlyStopping("backtest_mase")]).fit(model, data)
        >>> watched.result.frame

    Args:
        windows: number of windows.
        step_size: steps from one to the next; None for the horizon.
        level: coverages in per cent of the intervals in the table, of forecasters that have quantiles.
        every_n_epochs: backtest in every so manieth validation of a fit.
        path: a CSV that is written at the end of a fit, a validation or a test; its folder must exist.
        name: what the table calls the model.

    Attributes:
        result: the last backtest; None before the first one.

    """

    def __init__(
        self,
        *,
        windows: int,
        step_size: int | None = None,
        level: Sequence[float] | float = (),
        every_n_epochs: int = 1,
        path: str | Path | None = None,
        name: str = "model",
    ) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs: expected at least 1, got {every_n_epochs}")
        self.windows = windows
        self.step_size = step_size
        self.level = level
        self.every_n_epochs = every_n_epochs
        self.path = None if path is None else Path(path)
        self.name = name
        self.result: Backtest | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Look whether data and model allow what is wanted, before anything is trained.

        Raises:
            TypeError: the Trainer has no DataModule of series, or the model is no predictor.
            ValueError: the windows reach into the training part.

        """
        if stage == "predict":
            return
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, ForecastDataModule):
            raise TypeError(
                "BacktestCallback needs a DataModule of series, such as seqlight.data.CSVDataModule; pass "
                f"one: trainer.{trainer.state.fn}(model, datamodule=...)"
            )
        if not isinstance(pl_module, Predictor):
            raise TypeError(f"BacktestCallback needs a forecaster, got {type(pl_module).__name__}")
        known = self._known(data, "test" if stage == "test" else "val")
        first = known.splitter.cutoffs(known.ends, windows=self.windows, step_size=self.step_size)[0]
        judged = known.ends > data.split.train_stop
        early = (first < data.split.train_stop) & judged
        if early.any():
            series = int(early.argmax())
            raise ValueError(
                f"windows: the first of {self.windows} windows begins at step {first[series]} of series "
                f"{data.series_ids[series]!r}, which is trained on up to step "
                f"{data.split.train_stop[series]}; "
                "take fewer windows, a smaller step_size or a larger val_size"
            )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Backtest over the end of the validation part."""
        if trainer.sanity_checking:
            return
        if trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        self._backtest(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Backtest over the end of the test part."""
        self._backtest(trainer, pl_module, "test")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the table of the last backtest."""
        if self.path is not None and self.result is not None and trainer.is_global_zero:
            write_csv(self.result.frame, self.path)

    def _backtest(self, trainer: Trainer, pl_module: LightningModule, part: str) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        model: Any = pl_module
        self.result = backtest(
            {self.name: model},
            self._known(data, part),
            windows=self.windows,
            step_size=self.step_size,
            level=self.level,
            origin="own",
        )
        (row,) = self.result.rows
        for error in ERRORS:
            value = row[error]  # type: ignore[literal-required]
            if math.isfinite(value):
                pl_module.log(f"backtest_{error}", value, batch_size=row["windows"])

    @staticmethod
    def _known(data: ForecastDataModule, part: str) -> ForecastDataModule:
        """Return the series as they are known at the end of a part, texts numbered as in training."""
        splitter = Splitter(data.context_length, data.prediction_length, val_size=0.0, test_size=0.0)
        known = data.until(data.split.targets(part)[1], splitter)
        known.use_schema(data.schema())
        return known
