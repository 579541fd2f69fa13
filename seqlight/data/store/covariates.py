"""Columns beside the targets: numbers and codes of text in the rows of a store, and values of each series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seqlight.data.errors import DataError

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """Numeric columns: ``values`` [rows, K] float32 (of each series [S, K]), NaN where missing."""

    names: list[str]
    values: Float32Array


@dataclass(frozen=True)
class Codes:
    """Columns of text: ``values`` [rows or S, K] int32 count in ``labels[k]``; -1 is missing."""

    names: list[str]
    values: Int32Array
    labels: list[list[str]]


@dataclass(frozen=True)
class Covariates:
    """The covariates of a store.

    Attributes:
        past, past_categories: known up to now only, a row for each row of the store.
        future, future_categories: known ahead, likewise.
        static, static_categories: constant within a series, a row for each series.
    """

    past: Numbers
    future: Numbers
    static: Numbers
    past_categories: Codes
    future_categories: Codes
    static_categories: Codes

    def select(self, keep: NDArray[np.bool_], rows: NDArray[np.bool_]) -> "Covariates":
        """Return those of the series for which ``keep`` [S] is true, whose rows are ``rows``."""
        return Covariates(
            past=replace(self.past, values=self.past.values[rows]),
            future=replace(self.future, values=self.future.values[rows]),
            static=replace(self.static, values=self.static.values[keep]),
            past_categories=replace(self.past_categories, values=self.past_categories.values[rows]),
            future_categories=replace(self.future_categories, values=self.future_categories.values[rows]),
            static_categories=replace(self.static_categories, values=self.static_categories.values[keep]),
        )


def lay_out(
    frame: pl.DataFrame,
    *,
    past: Sequence[str],
    future: Sequence[str],
    static: Sequence[str],
    ids: Sequence[str],
    indptr: Int64Array,
    place: Callable[[NDArray[np.generic], object], NDArray[np.generic]],
    order: Callable[[NDArray[np.generic]], NDArray[np.generic]],
    unknown: NDArray[np.bool_] | None,
    source: str,
) -> Covariates:
    """Lay the columns of a table out on the rows of a store.

    Args:
        frame: a column for each covariate: Float32 for numbers, String for text; missing cells are null.
        past, future, static: names of the columns by their part.
        ids: names of the S series.
        indptr: [S + 1], where each series begins in the sorted rows of the table.
        place: puts an array [N, K] in sorted order onto the grid; its second argument stands in absent rows.
        order: sorts an array [N, K] in the table's order.
        unknown: [N] sorted rows whose past covariates are to be taken for unknown; None for none.
        source: what messages call the table.

    Raises:
        DataError: a static column changes within a series, or a number is infinite or a static one missing.
    """

    rows = int(indptr[-1])  # a frame without columns has none of its own

    def numbers(names: Sequence[str]) -> tuple[list[str], Float32Array]:
        names = [name for name in names if frame[name].dtype.is_numeric()]
        values = np.empty((rows, len(names)), np.float32)
        for column, name in enumerate(names):
            values[:, column] = frame[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
            if np.isinf(values[:, column]).any():
                raise DataError(f"{source}: column {name!r}: infinity, or a number beyond float32's range")
        return names, order(values) if names else values  # type: ignore[return-value]

    def codes(names: Sequence[str]) -> tuple[list[str], Int32Array, list[list[str]]]:
        names = [name for name in names if not frame[name].dtype.is_numeric()]
        values = np.empty((rows, len(names)), np.int32)
        labels = []
        for column, name in enumerate(names):
            text = frame[name].cast(pl.String)
            found = text.drop_nulls().unique().sort()
            labels.append(found.to_list())
            encoded = text.replace_strict(found, np.arange(len(found)), default=-1, return_dtype=pl.Int32)
            values[:, column] = encoded.fill_null(-1).to_numpy()
        return names, order(values) if names else values, labels  # type: ignore[return-value]

    past_names, past_values = numbers(past)
    past_texts, past_codes, past_labels = codes(past)
    if unknown is not None:
        past_values[unknown] = np.nan
        past_codes[unknown] = -1
    (future_names, future_values), (future_texts, future_codes, future_labels) = (
        numbers(future),
        codes(future),
    )
    (static_names, static_values), (static_texts, static_codes, static_labels) = (
        numbers(static),
        codes(static),
    )
    of_series = [
        _constant(static_values[:, column], np.isnan(static_values[:, column]), name, ids, indptr, source)
        for column, name in enumerate(static_names)
    ]
    for name, found in zip(static_names, of_series, strict=True):
        if np.isnan(found).any():
            series = ids[int(np.argmax(np.isnan(found)))]
            raise DataError(f"{source}: static column {name!r} has no value for series {series!r}; fill it")
    codes_of_series = [
        _constant(static_codes[:, column], static_codes[:, column] < 0, name, ids, indptr, source)
        for column, name in enumerate(static_texts)
    ]
    return Covariates(
        Numbers(past_names, place(past_values, np.nan)),  # type: ignore[arg-type]
        Numbers(future_names, place(future_values, np.nan)),  # type: ignore[arg-type]
        Numbers(static_names, np.array(of_series, np.float32).reshape(len(static_names), len(ids)).T.copy()),
        Codes(past_texts, place(past_codes, -1), past_labels),  # type: ignore[arg-type]
        Codes(future_texts, place(future_codes, -1), future_labels),  # type: ignore[arg-type]
        Codes(
            static_texts,
            np.array(codes_of_series, np.int32).reshape(len(static_texts), len(ids)).T.copy(),
            static_labels,
        ),
    )


def _constant(
    column: NDArray[np.generic],
    missing: NDArray[np.bool_],
    name: str,
    ids: Sequence[str],
    indptr: Int64Array,
    source: str,
) -> NDArray[np.generic]:
    """[S] the one value of each series; of several known cells all must be the same."""
    values = np.empty(len(ids), column.dtype)
    for series, (begin, end) in enumerate(zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)):
        known = column[begin:end][~missing[begin:end]]
        values[series] = known[0] if len(known) else column[begin]
        if len(known) and (known != known[0]).any():
            raise DataError(
                f"{source}: static column {name!r} changes within series {ids[series]!r}; name it a past or "
                "future covariate"
            )
    return values
