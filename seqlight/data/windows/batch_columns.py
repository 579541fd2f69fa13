"""The covariates of a batch of windows, gathered from a store's columns."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqlight.data.store.covariates import Codes, Covariates


class BatchColumns:
    """Gathers covariates by rows.

    Args:
        covariates: of the store.
        categories: of the columns of text "past", "future" and "static", for each code and, last, for a
            missing cell the number that batches have.
    """

    def __init__(self, covariates: Covariates, categories: Mapping[str, Sequence[NDArray[np.int64]]]) -> None:
        self._past = torch.from_numpy(covariates.past.values)
        self._future = torch.from_numpy(covariates.future.values)
        self._static = torch.from_numpy(covariates.static.values)
        self._past_codes = _Numbered(covariates.past_categories, categories.get("past", ()))
        self._future_codes = _Numbered(covariates.future_categories, categories.get("future", ()))
        self._static_codes = _Numbered(covariates.static_categories, categories.get("static", ()))

    def batch(self, rows: Tensor, series: Tensor, past: int, inside: Tensor | None) -> dict[str, Tensor]:
        """Return the entries of a batch for ``rows`` [B, L + H] of the store, the first ``past`` inputs.

        Past covariates are missing where ``inside`` [B, L] is false.
        """
        entries = {}
        before = rows[:, :past]
        if self._past.shape[1]:
            values = self._past[before]
            entries["past_covariates"] = (
                values if inside is None else values.masked_fill(~inside[..., None], torch.nan)
            )
        if self._past_codes:
            codes = self._past_codes[before]
            entries["past_categories"] = codes if inside is None else codes.masked_fill(~inside[..., None], 0)
        if self._future.shape[1]:
            known_ahead = self._future[rows]
            entries["historic_future_covariates"] = known_ahead[:, :past]
            entries["future_covariates"] = known_ahead[:, past:]
        if self._future_codes:
            codes = self._future_codes[rows]
            entries["historic_future_categories"] = codes[:, :past]
            entries["future_categories"] = codes[:, past:]
        if self._static.shape[1]:
            entries["static_covariates"] = self._static[series]
        if self._static_codes:
            entries["static_categories"] = self._static_codes[series]
        return entries


class _Numbered:
    """Columns of codes as the numbers that a batch has."""

    def __init__(self, codes: Codes, numbers: Sequence[NDArray[np.int64]]) -> None:
        self._values = torch.from_numpy(codes.values)
        self._numbers = [torch.from_numpy(column) for column in numbers]

    def __bool__(self) -> bool:
        """Whether there is any column."""
        return bool(self._numbers)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """[..., K] int64; code -1, missing, takes the last number."""
        codes = self._values[rows].long()
        return torch.stack(
            [numbers[codes[..., column]] for column, numbers in enumerate(self._numbers)], dim=-1
        )
