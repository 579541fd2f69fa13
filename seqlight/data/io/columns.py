"""Names of columns."""

from seqlight.data.errors import DataError


def target_columns(target_cols: str | list[str], *, time_col: str, id_col: str | None) -> list[str]:
    """The target columns as a list.

    Raises:
        DataError: there is none, or one column has two parts to play.
    """
    targets = [target_cols] if isinstance(target_cols, str) else list(target_cols)
    if not targets:
        raise DataError("target_cols: expected at least one column, got none")
    columns = [time_col, *targets] + ([] if id_col is None else [id_col])
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"time_col, target_cols, id_col: column {twice!r} is named twice; name each column once"
        )
    return targets
