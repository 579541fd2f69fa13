"""A data set in a folder, whose arrays are mapped into memory: opened at once, shared by all that open it."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqlight.data.store.covariates import Codes, Covariates, Numbers
from seqlight.data.store.prefix_sums import PrefixStatistics
from seqlight.data.store.saved_times import from_plain, to_plain
from seqlight.data.store.schema import PARTS, Schema
from seqlight.data.store.series_dataset import SeriesDataset
from seqlight.data.store.series_store import SeriesStore
from seqlight.data.store.time_grid import TimeGrid

FORMAT = 2
"""Of the folder; it grows by one with every change of what is in it."""

SCRATCH = "stream-"
"""How the folder begins in which arrays lie that were written part by part: such files are taken over."""

DESCRIPTION = "store.json"


def save_dataset(dataset: SeriesDataset, folder: Path, notes: Sequence[str] = ()) -> None:
    """Write a data set into an empty folder.

    Args:
        dataset: the series.
        folder: where its arrays become files.
        notes: what was said when the series were read, to be said again.

    Raises:
        OSError: there is no room, or no permission.
    """
    store, grid = dataset.store, dataset.store.grid
    arrays = _arrays(store)
    shapes = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    for name, array in arrays.items():
        _write(folder / f"{name}.npy", array)
    described: dict[str, Any] = {
        "format": FORMAT,
        "source": dataset.source,
        "schema": asdict(dataset.schema),
        "arrays": shapes,
        "ids": store.ids,
        "notes": list(notes),
        "grid": None,
        "steps": to_plain(store.steps),
        "covariates": None,
    }
    if grid is not None:
        described["grid"] = {
            "frequency": to_plain(grid.frequency),
            "time_format": to_plain(grid.time_format),
            "time_zone": grid.time_zone,
            "dates": grid.dates,
        }
    if store.covariates is not None:
        described["covariates"] = {
            part: {
                "numbers": getattr(store.covariates, part).names,
                "texts": getattr(store.covariates, f"{part}_categories").names,
                "labels": getattr(store.covariates, f"{part}_categories").labels,
            }
            for part in PARTS
        }
    (folder / DESCRIPTION).write_text(json.dumps(described))


def load_dataset(folder: Path) -> tuple[SeriesDataset, list[str]]:
    """Open a data set that was written by :func:`save_dataset`; its arrays are read page by page when used.

    Returns:
        The data set, and the notes that go with it.

    Raises:
        OSError, ValueError, KeyError, TypeError: the folder is not whole, or of another format.
    """
    described = json.loads((folder / DESCRIPTION).read_text())
    if described["format"] != FORMAT:
        raise ValueError(f"{folder} has format {described['format']}, expected {FORMAT}")

    def array(name: str) -> NDArray[Any]:
        # Writable for torch, and yet never written to the file: a changed page is this process' own.
        path = folder / f"{name}.npy"
        try:
            mapped: NDArray[Any] = np.load(path, mmap_mode="c")
        except ValueError:  # nothing can be mapped of an empty array
            mapped = np.load(path)
        if [mapped.dtype.str, *mapped.shape] != described["arrays"][name]:
            raise ValueError(f"{path} is damaged")
        return mapped

    grid = None
    if described["grid"] is not None:
        grid = TimeGrid(
            from_plain(described["grid"]["frequency"]),
            array("origin"),
            array("anchor"),
            from_plain(described["grid"]["time_format"]),
            described["grid"]["time_zone"],
            described["grid"]["dates"],
        )
    covariates = None
    if described["covariates"] is not None:
        parts: dict[str, Any] = {}
        for part, columns in described["covariates"].items():
            parts[part] = Numbers(columns["numbers"], array(part))
            parts[f"{part}_categories"] = Codes(columns["texts"], array(f"{part}_codes"), columns["labels"])
        covariates = Covariates(**parts)
    store = SeriesStore(
        array("values"), array("indptr"), described["ids"], grid, covariates, from_plain(described["steps"])
    )
    store.__dict__["ends"] = array("ends")  # what would be found by a look at every page
    store.__dict__["statistics"] = PrefixStatistics(
        store.values, store.indptr, {lag: array(f"sums_{lag}") for lag in _lags(store)}, array("shift")
    )
    return SeriesDataset(store, Schema(**described["schema"]), described["source"]), described["notes"]


def _arrays(store: SeriesStore) -> dict[str, NDArray[Any]]:
    """The arrays of a store by the names of their files."""
    arrays: dict[str, NDArray[Any]] = {"values": store.values, "indptr": store.indptr, "ends": store.ends}
    if store.grid is not None:
        arrays |= {"origin": store.grid.origin, "anchor": store.grid.anchor}
    if store.covariates is not None:
        for part in PARTS:
            arrays[part] = getattr(store.covariates, part).values
            arrays[f"{part}_codes"] = getattr(store.covariates, f"{part}_categories").values
    statistics = store.statistics
    arrays["shift"] = statistics.shift
    return arrays | {f"sums_{lag}": statistics.sums(lag) for lag in _lags(store)}


def _lags(store: SeriesStore) -> list[int]:
    """The sums that are kept: those of the cells (0), and of differences a usual season apart."""
    season = 1 if store.grid is None else store.grid.frequency.season_length
    return sorted({0, season})


def _write(path: Path, array: NDArray[Any]) -> None:
    if isinstance(array, np.memmap) and array.filename is not None:
        own = Path(array.filename)
        if own.parent.name.startswith(SCRATCH) and array.shape == np.load(own, mmap_mode="r").shape:
            array.flush()
            os.replace(own, path)
            return
    array = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data.cast("B") if array.size else b"")  # tofile() would not say why it fails
