"""What is written into a file whose missing cells were filled, by its columns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Between the names of columns in a mark of a file whose rows are series.
BETWEEN_NAMES = "|"


@dataclass(frozen=True)
class FilledCells:
    """Cells of a file to be filled, and new columns that tell which.

    Attributes:
        values: by column name, [rows] float32 in the order of the file.
        filled: by column name, [rows] bool: the cells to write; all others stay as they are.
        marks: by name of a new column, its [rows] cells.
        alike: whether the columns are steps of the same series, so that decimals are those of a row.
    """

    values: Mapping[str, NDArray[np.float32]]
    filled: Mapping[str, NDArray[np.bool_]]
    marks: Mapping[str, list[str]]
    alike: bool = False

    def with_marks(self, suffix: str, *, by_row: str | None = None) -> "FilledCells":
        """Return these cells with columns of marks.

        Args:
            suffix: of the names of new columns.
            by_row: where rows are series, the name of their values: one new column then names the columns
                whose cells were filled. Else each column has one of its own, "true" where a cell was filled.
        """
        if by_row is None:
            marks = {
                name + suffix: np.where(filled, "true", "false").tolist()
                for name, filled in self.filled.items()
            }
            return replace(self, marks=marks)
        names = np.array(list(self.filled), object)
        table = np.stack(list(self.filled.values()), axis=1)
        named = [BETWEEN_NAMES.join(names[row]) for row in table]
        return replace(self, marks={by_row + suffix: named}, alike=True)

    def joined(self, more: "FilledCells", own: NDArray[np.int64], others: NDArray[np.int64]) -> "FilledCells":
        """Return these cells, at rows ``own`` of a longer file, and those of new rows at rows ``others``."""
        rows = len(own) + len(others)
        values, filled = {}, {}
        for name in self.values:
            values[name] = np.full(rows, np.nan, np.float32)
            values[name][own], values[name][others] = self.values[name], more.values[name]
            filled[name] = np.zeros(rows, np.bool_)
            filled[name][own], filled[name][others] = self.filled[name], more.filled[name]
        return FilledCells(values, filled, {})


def filled_frame(frame: pl.DataFrame, cells: FilledCells) -> pl.DataFrame:
    """Return a frame with its cells filled and its columns of marks.

    Whole numbers stay whole numbers, text stays text.
    """
    columns = []
    for name, values in cells.values.items():
        column = frame[name]
        # Through their shortest text, so that 3.1 of float32 does not become 3.0999999 of float64.
        numbers = pl.Series(name, np.ascontiguousarray(values)).cast(pl.String).cast(pl.Float64)
        if column.dtype.is_integer() or column.dtype == pl.Boolean:
            numbers = numbers.fill_nan(None).round().cast(pl.Int64)
            column = column.cast(pl.Int64)
        elif column.dtype == pl.String:
            numbers = numbers.cast(pl.String)
        elif column.dtype.is_float():
            numbers = numbers.cast(column.dtype)
        else:  # decimals, and columns of nothing but null
            column = column.cast(pl.Float64)
        columns.append(numbers.zip_with(pl.Series(np.ascontiguousarray(cells.filled[name])), column))
    marks = [
        pl.Series(name, marks) if set(marks) - {"true", "false"} else pl.Series(name, marks) == "true"
        for name, marks in cells.marks.items()
    ]
    return frame.with_columns(*columns, *(mark.alias(n) for mark, n in zip(marks, cells.marks, strict=True)))


def frame_csv(frame: pl.DataFrame) -> bytes:
    """Return a frame as CSV; times as ``2024-01-31 15:00:00``, with their offset where they have a zone."""
    zoned = [
        name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone
    ]
    frame = frame.with_columns(frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z") for name in zoned)
    return frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S%.f").encode()


def with_rows(
    frame: pl.DataFrame, after: NDArray[np.int64], cells: Mapping[str, pl.Series], copied: Collection[str]
) -> tuple[pl.DataFrame, NDArray[np.int64], NDArray[np.int64]]:
    """Return a frame with new rows.

    Args:
        frame: the frame.
        after: [A] the row below which each new row comes; several below one row come in their order.
        cells: by column name, the [A] new cells.
        copied: columns whose cell is that of the row above. All others are null.

    Returns:
        The new frame, where each old row is in it [rows], and where each new row is [A].
    """
    above = frame[after]
    columns = []
    for name, dtype in frame.schema.items():
        if name in cells:
            column = cells[name].cast(dtype, strict=False)
        elif name in copied:
            column = above[name]
        else:
            column = pl.Series(name, [None], dtype).new_from_index(0, len(after))
        columns.append(column.alias(name))
    place = np.concatenate([np.arange(len(frame)), after])
    order = np.argsort(place, kind="stable")  # an old row comes before the new ones below it
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    longer = pl.concat([frame, pl.DataFrame(columns)])[order]
    return longer, position[: len(frame)], position[len(frame) :]
