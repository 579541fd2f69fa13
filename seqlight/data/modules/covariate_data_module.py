"""What a DataModule of forecasters tells of the columns beside the targets."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.modules.covariates_of_module import ModuleCovariates
from seqlight.data.modules.window_data_module import WindowDataModule
from seqlight.data.store.schema import PARTS, Schema
from seqlight.data.store.series_dataset import SeriesDataset
from seqlight.data.store.splits import Splitter, TimeSplit
from seqlight.data.time.calendar_features import FEATURE_WIDTH, WITHIN_A_DAY


class CovariateDataModule(WindowDataModule):
    """Base of DataModules over a data set of series: sizes, categories and scales of its covariates.

    Scales, statistics and categories are those of the training rows.

    Attributes:
        splitter: how each series is split.
        calendar_features: known covariates that are computed of the times.
    """

    splitter: Splitter
    calendar_features: list[str]
    _named: Schema
    _covariates: ModuleCovariates | None = None
    _trained: dict[str, Any] | None = None  # the schema of a checkpoint

    @property
    @abstractmethod
    def series_dataset(self) -> SeriesDataset:
        """The series with their schema."""

    @property
    @abstractmethod
    def ends(self) -> NDArray[np.int64]:
        """Position [S] after each series' last known target."""

    @property
    @abstractmethod
    def split(self) -> TimeSplit:
        """Where each series' parts end."""

    @property
    def covariates(self) -> ModuleCovariates | None:
        """The columns beside the targets; None for none."""
        if self._covariates is None and self._named.covariates:
            known = None
            if self._trained is not None:
                known = {
                    f"{part}_categories": [
                        column["values"] for column in self._trained.get(f"{part}_categories", [])
                    ]
                    for part in PARTS
                }
            judged = (self.ends >= self.splitter.shortest(1)).any()
            stop = self.split.train_stop if judged else self.ends
            self._covariates = ModuleCovariates(self.store, stop, known)
        return self._covariates

    def _numeric(self, part: str) -> int:
        if not self._named.covariates:  # no file is read for a size that is known
            return 0
        return len(getattr(self.store.covariates, part).names)

    @property
    def past_covariate_size(self) -> int:
        """P, numeric covariates known up to now only."""
        return self._numeric("past")

    @property
    def future_covariate_size(self) -> int:  # type: ignore[override]
        """F, numeric covariates known ahead, and two for each calendar feature."""
        return self._numeric("future") + FEATURE_WIDTH * len(self.calendar_features)

    @property
    def static_covariate_size(self) -> int:  # type: ignore[override]
        """S, numeric covariates that are constant within a series."""
        return self._numeric("static")

    def _cardinalities(self, part: str) -> list[int]:
        covariates = self.covariates
        return [] if covariates is None else [len(known) for known in covariates.vocabularies[part]]

    @property
    def past_cardinalities(self) -> list[int]:
        """Number of known values of each column of text that is known up to now only."""
        return self._cardinalities("past")

    @property
    def future_cardinalities(self) -> list[int]:
        """Likewise, of those known ahead."""
        return self._cardinalities("future")

    @property
    def static_cardinalities(self) -> list[int]:
        """Likewise, of those constant within a series."""
        return self._cardinalities("static")

    def covariate_statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each numeric covariate over the training rows, by kind."""
        size = FEATURE_WIDTH * len(self.calendar_features)
        if self.covariates is not None:
            return self.covariates.statistics(size)
        return {"future_covariates": (torch.zeros(size), torch.ones(size))} if size else {}

    def schema(self) -> dict[str, Any]:
        """Return what a model trained on these data depends on: columns, categories, step; a plain dict."""
        schema = self.series_dataset.schema
        described: dict[str, Any] = {
            "targets": [schema.column(name) for name in schema.targets],
            "calendar_features": list(self.calendar_features),
            "frequency": schema.step,
        }
        if any(name in WITHIN_A_DAY for name in self.calendar_features):
            # Hours of other clocks are other hours.
            described["time_zone"] = schema.time_zone
        return described | ({} if self.covariates is None else self.covariates.schema(schema))

    def use_schema(self, schema: Mapping[str, Any]) -> None:
        """Number the texts of columns as in the training of a model with this schema; see :meth:`schema`."""
        self._trained, self._covariates = dict(schema), None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the data: their schema."""
        return {"schema": self.schema()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Number the texts of columns as in the training that goes on."""
        if "schema" in state_dict:
            self.use_schema(state_dict["schema"])

    def check_known_ahead(
        self, begin: NDArray[np.int64], end: NDArray[np.int64], series: NDArray[np.bool_]
    ) -> None:
        """Raise DataError where a covariate of [begin, end) [S] is not known ahead, of ``series`` [S]."""
        if self.covariates is not None:
            self.covariates.check_known_ahead(begin, end, series)
