"""The one place that says which column of a data set is what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from seqlight.data.errors import DataError

if TYPE_CHECKING:
    from seqlight.data.store.series_store import SeriesStore

PARTS = ("past", "future", "static")
NO_TIMES = "rows without times"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Names of a data set's columns by the part that they play, and what their rows mean.

    Attributes:
        targets: what is to be forecast.
        past: covariates known up to now only, numeric or text.
        future: covariates known ahead.
        static: values that are constant within a series.
        categories: which of the covariates are text; None while nothing was read.
        time: name of the time axis.
        id: name of what tells series apart; None for a single series.
        step: from one row to the next, such as "1h"; None while nothing was read.
        time_zone: in which times are told; None for times without one.
        time_format: how times are written as text; None where they are not text.
        units: by column, what its numbers are in, such as {"load": "MW"}.
    """

    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: tuple[str, ...] | None = None
    time: str = "step"
    id: str | None = None
    step: str | None = None
    time_zone: str | None = None
    time_format: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("targets", *PARTS):
            given: str | Sequence[str] = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if self.categories is not None:
            object.__setattr__(self, "categories", tuple(self.categories))
        if not self.targets:
            raise DataError("targets: expected at least one column, got none")
        columns = [*self.targets, *self.covariates]
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"schema: column {twice!r} has two parts to play; name it once")
        for argument, names in (("units", self.units), ("categories", self.categories or ())):
            unknown = [name for name in names if name not in columns]
            if unknown:
                raise DataError(
                    f"{argument}: there is no column {unknown[0]!r} among {', '.join(map(repr, columns))}"
                )

    @property
    def covariates(self) -> tuple[str, ...]:
        """All columns beside the targets."""
        return self.past + self.future + self.static

    def settled(self, store: "SeriesStore") -> "Schema":
        """Return the schema with all that the store tells, after comparing what both say.

        Raises:
            DataError: the store has other columns, another step or other texts than the schema says.
        """
        width = store.values.shape[1]
        if width != len(self.targets):
            raise DataError(f"schema: {len(self.targets)} targets, but the store has {width} channels")
        texts: list[str] = []
        for part in PARTS:
            declared = getattr(self, part)
            columns = store.covariates
            numbers = [] if columns is None else getattr(columns, part).names
            codes = [] if columns is None else getattr(columns, f"{part}_categories").names
            texts += codes
            if sorted(declared) != sorted([*numbers, *codes]):
                raise DataError(
                    f"schema: {part} covariates {', '.join(declared) or 'none'}, but the store has "
                    f"{', '.join([*numbers, *codes]) or 'none'}"
                )
        found: dict[str, Any] = {
            "categories": tuple(name for name in self.covariates if name in texts),
            "step": NO_TIMES if store.grid is None else store.grid.frequency.name,
        }
        for name, value in found.items():
            own = getattr(self, name)
            if (
                own is not None
                and own != value
                and not (name == "categories" and sorted(own) == sorted(value))
            ):
                raise DataError(f"schema: {name} {own!r}, but the store has {value!r}")
        if store.grid is not None:
            text_format = store.grid.time_format
            found["time_zone"] = store.grid.time_zone
            found["time_format"] = None if text_format is None else text_format.pattern
        return replace(self, **found)

    def column(self, name: str) -> str | dict[str, str]:
        """Return what a checkpoint keeps of a column: its name, with its unit where that is known."""
        return {"name": name, "unit": self.units[name]} if name in self.units else name
