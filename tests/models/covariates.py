"""Covariates of every kind, for the windows of a test."""

from typing import Any

import torch
from torch import Tensor

from seqlight.data import SyntheticDataModule
from seqlight.data.windows.window_dataset import WindowDataset

STATIC: dict[str, Any] = {"static_covariate_size": 1, "static_cardinalities": [2]}
AHEAD: dict[str, Any] = STATIC | {"future_covariate_size": 2, "future_cardinalities": [3, 2]}
EVERY: dict[str, Any] = AHEAD | {
    "past_covariate_size": 2,
    "past_cardinalities": [4],
    "schema": {
        "past_covariates": ["wind", {"name": "rain", "gaps": True}],
        "future_covariates": ["price", "day"],
    },
}


def covariates_of(series: Tensor, context: int, horizon: int, *, past: bool = True) -> dict[str, Tensor]:
    """Numbers and codes that are always the same for a series ``[B]``; one past column has gaps."""
    steps = torch.arange(context + horizon)[None, :, None]
    row = series.reshape(-1, 1, 1)
    wave = torch.sin(row + 0.7 * steps * torch.tensor([1.0, 2.0]))
    codes = (row + steps * torch.tensor([1, 2])) % torch.tensor([4, 3])
    made = {
        "historic_future_covariates": 20 + 5 * wave[:, :context],
        "future_covariates": 20 + 5 * wave[:, context:],
        "historic_future_categories": codes[:, :context],
        "future_categories": codes[:, context:],
        "static_covariates": (row[:, 0] % 5).float(),
        "static_categories": row[:, 0] % 3,
    }
    if past:
        values = wave[:, :context].cos()
        values[..., 1] = values[..., 1].masked_fill(values[..., 1] > 0.9, torch.nan)
        made |= {"past_covariates": values, "past_categories": (row + steps[:, :context]) % 5}
    return made


class CovariateWindows(WindowDataset):
    """Windows with covariates."""

    past = True

    def __getitems__(self, indices: Any) -> dict[str, Tensor]:
        batch = super().__getitems__(indices)
        return batch | covariates_of(
            batch["series_index"], self.context_length, self.prediction_length, past=self.past
        )


class CovariateData(SyntheticDataModule):
    """Drawn series with covariates; ``past=False`` leaves out those that recursion has no place for."""

    past = True

    def dataset(self, part: Any) -> WindowDataset:
        windows = super().dataset(part)
        windows.__class__ = CovariateWindows
        windows.past = self.past
        return windows

    def covariate_statistics(self) -> dict[str, tuple[list[float], list[float]]]:
        return {
            "past_covariates": ([0.5, 0.5], [0.2, 0.2]),
            "future_covariates": ([20.0, 20.0], [3.5, 3.5]),
            "static_covariates": ([2.0], [1.4]),
        }


class KnownAheadData(CovariateData):
    """Without past covariates."""

    past = False
