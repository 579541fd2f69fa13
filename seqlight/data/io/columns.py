"""Names of columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqlight.data.errors import DataError


@dataclass
class Wanted:
    """The columns to read: of times, targets, ids and covariates."""

    time: list[str]
    targets: list[str]
    ids: list[str] = field(default_factory=list)
    covariates: list[str] = field(default_factory=list)

    def pairs(self) -> list[tuple[str, str]]:
        """(argument, column name) of each column."""
        groups = (
            ("time_col", self.time),
            ("target_cols", self.targets),
            ("id_col", self.ids),
            ("covariate_cols", self.covariates),
        )
        return [(argument, name) for argument, names in groups for name in names]


def as_names(columns: str | Sequence[str] | None) -> list[str]:
    """Return one name, several, or None for no column as a list."""
    if columns is None:
        return []
    return [columns] if isinstance(columns, str) else list(columns)


def target_columns(
    target_cols: str | Sequence[str],
    *,
    time_col: str | Sequence[str] | None,
    id_col: str | Sequence[str] | None,
    covariate_cols: Sequence[str] = (),
) -> list[str]:
    """Return the target columns as a list.

    Raises:
        DataError: there is none, or one column has two parts to play.
    """
    targets = as_names(target_cols)
    if not targets:
        raise DataError("target_cols: expected at least one column, got none")
    columns = [*as_names(time_col), *targets, *as_names(id_col), *covariate_cols]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"time_col, target_cols, id_col: column {twice!r} is named twice; name each column once"
        )
    return targets
