"""Series together with what their columns are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from seqlight.data.store.schema import PARTS, Schema
from seqlight.data.store.series_store import SeriesStore


@dataclass(frozen=True)
class SeriesDataset:
    """A store of series and the schema of its columns: all that a DataModule needs to know of data.

    Attributes:
        store: the series.
        schema: their columns; what it leaves open is taken from the store.
        source: what messages call the data.

    Raises:
        DataError: the schema and the store contradict each other.
    """

    store: SeriesStore
    schema: Schema
    source: str = "data"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", self.schema.settled(self.store))

    @classmethod
    def from_store(
        cls,
        store: SeriesStore,
        targets: str | tuple[str, ...] | list[str],
        *,
        time: str = "step",
        id: str | None = None,
        units: Mapping[str, str] | None = None,
    ) -> "SeriesDataset":
        """Name the targets of a store whose covariates have their names already."""
        columns = store.covariates
        named: dict[str, Any] = {
            part: ()
            if columns is None
            else (*getattr(columns, part).names, *getattr(columns, f"{part}_categories").names)
            for part in PARTS
        }
        targets = (targets,) if isinstance(targets, str) else tuple(targets)
        return cls(store, Schema(targets=targets, **named, time=time, id=id, units=units or {}))

    def __len__(self) -> int:
        """Number of series."""
        return len(self.store)

    def frame(self, series_index: int) -> pl.DataFrame:
        """Return one series as a frame: its times and its targets, missing cells null."""
        values = self.store.series(series_index)
        times = self.store.timestamps(series_index, 0, len(values)).alias(self.schema.time)
        columns = [
            pl.Series(name, values[:, channel]).fill_nan(None)
            for channel, name in enumerate(self.schema.targets)
        ]
        return pl.DataFrame([times, *columns])
