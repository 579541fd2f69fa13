"""Covariates of a DataModule: sizes, categories, statistics and checks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.errors import DataError
from seqlight.data.store.covariates import Codes, Numbers
from seqlight.data.store.prefix_sums import PrefixStatistics
from seqlight.data.store.schema import PARTS, Schema
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.splits import training_rows
from seqlight.data.store.vocabularies import Vocabulary, numbers_of_codes, vocabularies


class ModuleCovariates:
    """The covariates of a store, seen from its training rows.

    Args:
        store: the series.
        train_stop: [S] end of each series' training part; None where nothing is trained: categories are then
            those of ``known``.
        known: vocabularies by ``"past_categories"``, ... as they were in training; None takes the training
            rows'.
    """

    def __init__(
        self,
        store: SeriesStore,
        train_stop: NDArray[np.int64],
        known: Mapping[str, list[Vocabulary]] | None,
    ) -> None:
        covariates = store.covariates
        assert covariates is not None
        self._store = store
        self._numbers: dict[str, Numbers] = {part: getattr(covariates, part) for part in PARTS}
        self._codes: dict[str, Codes] = {part: getattr(covariates, f"{part}_categories") for part in PARTS}
        self._train_stop = train_stop
        rows = training_rows(store.indptr, train_stop)
        self._training = {"past": rows, "future": rows, "static": train_stop > 0}
        self.vocabularies = {
            part: vocabularies(self._codes[part], self._training[part])
            if known is None
            else known[f"{part}_categories"]
            for part in PARTS
        }

    def numbers(self) -> dict[str, list[NDArray[np.int64]]]:
        """Return what :class:`WindowDataset` takes as ``categories``."""
        return {part: numbers_of_codes(self._codes[part], self.vocabularies[part]) for part in PARTS}

    def statistics(self, calendar_size: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each numeric column over training rows; calendar features: 0, 1."""
        found = {}
        for part in PARTS:
            values = self._numbers[part].values
            if part == "static":
                values, indptr = values[self._training[part]], np.array([0, int(self._training[part].sum())])
                statistics, stop = PrefixStatistics(values, indptr), indptr[1:]
            else:
                statistics, stop = PrefixStatistics(values, self._store.indptr), self._train_stop
            mean, std = statistics.pooled(stop)
            if part == "future":
                mean = np.concatenate([mean, np.zeros(calendar_size)])
                std = np.concatenate([std, np.ones(calendar_size)])
            found[f"{part}_covariates"] = (
                torch.from_numpy(mean).float(),
                torch.from_numpy(std).float(),
            )
        return found

    def schema(self, named: Schema) -> dict[str, Any]:
        """Return the columns by part, with what is to be known of each.

        Args:
            named: the data's schema, for the units of columns.
        """
        past = self._numbers["past"]
        missing = np.isnan(past.values[self._training["past"]])
        gaps = [bool(missing[:, column].any()) for column in range(len(past.names))]
        described: dict[str, Any] = {
            "past_covariates": [
                {"name": name, "gaps": gap} | ({"unit": named.units[name]} if name in named.units else {})
                for name, gap in zip(past.names, gaps, strict=True)
            ]
        }
        for part in ("future", "static"):
            described[f"{part}_covariates"] = [named.column(name) for name in self._numbers[part].names]
        for part in PARTS:
            columns = zip(self._codes[part].names, self.vocabularies[part], strict=True)
            described[f"{part}_categories"] = [{"name": name, "values": known} for name, known in columns]
        return described

    def check_known_ahead(
        self, begin: NDArray[np.int64], end: NDArray[np.int64], series: NDArray[np.bool_]
    ) -> None:
        """Raise DataError unless positions ``begin`` to ``end - 1`` [S] of the series are known ahead."""
        store, numbers, codes = self._store, self._numbers["future"], self._codes["future"]
        columns = [*numbers.names, *codes.names]
        for index in np.flatnonzero(series).tolist():
            last = min(int(end[index]), int(store.lengths[index]))
            row = int(store.indptr[index])
            rows = slice(row + int(begin[index]), row + last)
            cells = np.concatenate([np.isnan(numbers.values[rows]), codes.values[rows] < 0], axis=1)
            column, position = -1, int(end[index])
            if columns and last < end[index]:
                column, position = 0, max(last, int(begin[index]))
            if cells.any():
                first, column = (int(place) for place in np.argwhere(cells)[0])
                position = int(begin[index]) + first
            if column < 0:
                continue
            text = store.time_text(index, position)
            raise DataError(
                f"column {columns[column]!r} of series {store.ids[index]!r}: a covariate that is known ahead "
                f"has no value at {text}; add rows with it up to the last step to forecast (the target may "
                "be empty), or name it a past covariate"
            )
