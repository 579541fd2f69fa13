"""Imputers set side by side on the same hidden cells."""

from collections.abc import Mapping
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from seqlight.data import ImputationDataModule
from seqlight.metrics import imputation_metrics
from seqlight.models import Imputer


class ImputationRow(TypedDict):
    """One imputer's errors on the hidden cells of one column, in the column's units.

    ``mre`` is ``sum |error| / sum |value|``; ``cells`` counts the hidden cells.
    """

    model: str
    column: str
    mae: float
    rmse: float
    mre: float
    cells: int


def fill(imputer: Imputer, data: ImputationDataModule, *, hide_held_out: bool = False) -> NDArray[np.float32]:
    """Fill the missing cells of all series, each as a whole.

    Args:
        imputer: used on its own device, in evaluation mode.
        data: the series.
        hide_held_out: hide the cells held out for validation and test too.

    Returns:
        [rows, C] float32 in the order of ``data.store.values``; cells that were known are unchanged, and NaN
        is left where an imputer has nothing to fill from.

    """
    store = data.store
    values = np.where(data.hidden, np.float32(np.nan), store.values) if hide_held_out else store.values
    covariates = data.covariates
    was_training = imputer.training
    imputer.eval()
    try:
        series = [
            imputer.impute(
                torch.from_numpy(values[begin:end]),
                time_gap=torch.from_numpy(data.time_gap[begin:end]),
                covariates=None if covariates is None else torch.from_numpy(covariates[begin:end]),
            ).numpy()
            for begin, end in zip(store.indptr[:-1], store.indptr[1:], strict=True)
        ]
    finally:
        imputer.train(was_training)
    return np.concatenate(series)


def compare_imputers(
    imputers: Mapping[str, Imputer], data: ImputationDataModule, *, part: Literal["val", "test"] = "test"
) -> list[ImputationRow]:
    """Evaluate imputers on the cells that ``data`` holds out, the same for all.

    Every imputer sees the series without the cells held out for validation and test, and fills whole series,
    as :func:`fill` does for real gaps. A cell that an imputer leaves empty makes its errors NaN.

    Args:
        imputers: by the names that the rows are to have.
        data: the series.
        part: which of the held-out cells to judge.

    Returns:
        One row for each column with held-out cells and each imputer.

    Raises:
        ValueError: no imputer, or no held-out cell.

    """
    if not imputers:
        raise ValueError("imputers: expected at least one, got none")
    if not data.held_out(part).any():
        raise ValueError(f"data: expected cells held out for part {part!r}, got none")
    filled = {name: fill(imputer, data, hide_held_out=True) for name, imputer in imputers.items()}
    return compare_filled(filled, data, part=part)


def compare_filled(
    filled: Mapping[str, NDArray[np.float32]], data: ImputationDataModule, *, part: Literal["val", "test"]
) -> list[ImputationRow]:
    """Evaluate what :func:`fill` returned with ``hide_held_out=True``, see :func:`compare_imputers`.

    Args:
        filled: [rows, C] each, by the names that the rows are to have.
        data: the series.
        part: which of the held-out cells to judge.

    """
    held_out = data.held_out(part)
    rows = []
    for channel, column in enumerate(data.target_cols):
        cells = held_out[:, channel]
        if not cells.any():
            continue
        true = torch.from_numpy(data.store.values[cells, channel]).double()
        for name, values in filled.items():
            metrics = imputation_metrics().set_dtype(torch.float64)
            metrics.update(torch.from_numpy(values[cells, channel]).double(), true)
            errors = {metric: float(value) for metric, value in metrics.compute().items()}
            rows.append(ImputationRow(model=name, column=column, cells=int(cells.sum()), **errors))  # type: ignore[typeddict-item]
    return rows
