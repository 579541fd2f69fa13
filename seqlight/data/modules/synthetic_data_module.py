"""Series drawn by a generator, split by series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.generators import GENERATORS, Generated, trend_and_seasons
from seqlight.data.modules.series_data_module import check_positive
from seqlight.data.modules.window_data_module import Part, WindowDataModule
from seqlight.data.store.mase_scale import seasonal_scale
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.windows.window_dataset import WindowDataset


class SyntheticDataModule(WindowDataModule):
    """Drawn series, one window each: the first train, the next validate, the last test.

    With the defaults these are the 10,000 series of chapter 15 of Geron, "Hands-On Machine Learning"
    (2nd ed.), to the last bit: 50 inputs and one target (validation MSE of the naive forecast 0.020211);
    ``prediction_length=10`` gives its ten-step series (0.25697). The predict loader gives the test series'
    inputs. MASE is scaled on the inputs.

    Other generators draw the tasks of other models than forecasters:

    - ``"waveforms"``: sine, square, triangle or sawtooth? ``label`` [B] for ``SequenceClassifier``;
    - ``"parametric_sines"``: a wave from its amplitude, frequency and phase, ``static_covariates`` [B, 4],
      for ``SequenceGenerator`` (and for forecasters with ``static_covariate_size=4``);
    - ``"adding_problem"``: the sum of two marked numbers among many, ``label`` [B, 1] for
      ``SequenceRegressor``;
    - ``"copy_memory"``: ten digits to be repeated after a long pause, ``label`` [B, L] for
      ``StepClassifier``.

    Series with labels have inputs alone, and no future. See the generators' own docstrings for definitions.

    Args:
        generator: name of the generator, a key of ``seqlight.data.generators.GENERATORS``.
        context_length: inputs of each series.
        prediction_length: targets after them; 1 where series have labels.
        n_train: series for training.
        n_val: series for validation.
        n_test: series for the test.
        trend: largest slope of an added linear trend (change from first to last step); 0 adds none.
        seasons: periods, in steps, of added seasons.
        season_amplitude: largest amplitude of an added season.
        batch_size: windows in a batch.
        tbptt_steps: train on chunks of so many time steps of each window's context, with the state carried
            from one to the next (truncated backpropagation through time, see :class:`TBPTTLoader`); None
            trains on whole windows.
        seed: of NumPy's legacy generator, which draws the series, and of the order of training windows.
        num_workers: worker processes of the loaders; 0 is fastest.
        persistent_workers: keep workers between epochs.
        pin_memory: load into pinned memory where there is an accelerator.

    Raises:
        DataError: an argument is wrong.
    """

    def __init__(
        self,
        generator: str = "sine_waves",
        *,
        context_length: int = 50,
        prediction_length: int = 1,
        n_train: int = 7000,
        n_val: int = 2000,
        n_test: int = 1000,
        trend: float = 0.0,
        seasons: Sequence[int] = (),
        season_amplitude: float = 1.0,
        batch_size: int = 32,
        tbptt_steps: int | None = None,
        seed: int = 42,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
    ) -> None:
        if generator not in GENERATORS:
            raise DataError(f"generator: expected one of {', '.join(GENERATORS)}, got {generator!r}")
        seasons = list(seasons)
        draw = GENERATORS[generator]
        names = ["y"] if draw.target_size == 1 else [f"y{i}" for i in range(draw.target_size)]
        super().__init__(
            context_length=context_length,
            prediction_length=prediction_length,
            target_cols=names,
            time_col="time",
            future_covariate_size=draw.covariate_size,
            observed_indicator=False,
            batch_size=batch_size,
            num_workers=num_workers,
            persistent_workers=persistent_workers,
            pin_memory=pin_memory,
            seed=seed,
            tbptt_steps=tbptt_steps,
        )
        check_positive(n_train=n_train, n_val=n_val, n_test=n_test)
        self.static_covariate_size = draw.static_size
        self.num_classes = draw.num_classes
        self.label_size = draw.label_size
        if self.has_labels:
            for name, value, default in (
                ("prediction_length", prediction_length, 1),
                ("trend", trend, 0.0),
                ("seasons", seasons, []),
            ):
                if value != default:
                    raise DataError(
                        f"{name}: the series of generator {generator!r} have labels and no future, so it "
                        f"cannot be {value!r}; leave it out"
                    )
        for period in seasons:
            check_positive(seasons=period)
        self.save_hyperparameters(logger=False)
        self.generator = generator
        self.n_train, self.n_val, self.n_test = n_train, n_val, n_test
        self.trend = trend
        self.seasons = seasons
        self.season_amplitude = season_amplitude
        self._store: SeriesStore | None = None
        self._drawn: Generated | None = None

    @property
    def has_labels(self) -> bool:
        """Whether batches carry ``label`` rather than ``future_target``."""
        return self.num_classes > 0 or self.label_size > 0

    @property
    def drawn(self) -> Generated:
        """All series, n_train + n_val + n_test, with what belongs to them."""
        if self._drawn is None:
            random = np.random.RandomState(self.seed)
            n_series = self.n_train + self.n_val + self.n_test
            drawn = GENERATORS[self.generator](n_series, self.context_length, self.prediction_length, random)
            if self.trend or self.seasons:
                added = trend_and_seasons(
                    n_series,
                    self.context_length + self.prediction_length,
                    random,
                    trend=self.trend,
                    seasons=self.seasons,
                    season_amplitude=self.season_amplitude,
                )
                drawn = replace(drawn, target=drawn.target + added)
            self._drawn = drawn
        return self._drawn

    @property
    def store(self) -> SeriesStore:
        """The series, drawn when first asked for."""
        if self._store is None:
            n_series, steps, channels = self.drawn.target.shape
            indptr = np.arange(n_series + 1, dtype=np.int64) * steps
            values = np.ascontiguousarray(self.drawn.target).reshape(-1, channels)
            self._store = SeriesStore(values, indptr, [str(i) for i in range(n_series)])
        return self._store

    @property
    def season_length(self) -> int:
        """Period of the first added season, else 1."""
        return self.seasons[0] if self.seasons else 1

    def training_target(self) -> tuple[Tensor, Tensor]:
        """Values [N, C] and observed [N, C] (all true) of the training series."""
        values = torch.from_numpy(self.store.values[: int(self.store.indptr[self.n_train])])
        return values, torch.ones_like(values, dtype=torch.bool)

    def dataset(self, part: Part) -> WindowDataset:
        """The windows of a part; "predict" is the inputs of the test series."""
        ends = np.cumsum([self.n_train, self.n_val, self.n_test])
        index = {"train": 0, "val": 1, "test": 2, "predict": 2}[part]
        series = np.arange(len(self.store))
        chosen = (series < ends[index]) & (series >= (ends[index - 1] if index else 0))
        context = np.full_like(self.store.lengths, self.context_length)
        scale = None
        if not self.has_labels:
            scale = seasonal_scale(self.store.values, self.store.indptr, context, self.season_length)
        of_series = {
            "static_covariates": self.drawn.static,
            "label": None if part == "predict" else self.drawn.label,
        }
        return WindowDataset(
            self.store,
            self.context_length,
            self.prediction_length,
            first=context,
            stop=np.where(chosen, context + self.prediction_length, 0),
            covariates=self._padded_covariates(),
            scale=scale,
            of_series={name: values for name, values in of_series.items() if values is not None},
            with_future=part != "predict" and not self.has_labels,
        )

    def _padded_covariates(self) -> np.ndarray | None:
        """Covariates with one horizon more per series, which windows never reach: [rows + N * H, K]."""
        covariates = self.drawn.covariates
        if covariates is None:
            return None
        padded = np.pad(covariates, ((0, 0), (0, self.prediction_length), (0, 0)))
        return padded.reshape(-1, padded.shape[2])
