"""What a checkpoint says of its columns, compared with what new data say.

A schema is a plain dict. A key is a part of the data, such as ``"frequency"``, ``"targets"`` or
``"past_covariates"``; its value is one setting, or a list of columns, each a name or a dict with ``"name"``
and what else is to be said of the column: ``{"name": "price", "kind": "number", "gaps": True}``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

PARTS = {
    "targets": "a target",
    "past_covariates": "a past covariate of numbers",
    "past_categories": "a past covariate of text",
    "future_covariates": "a future covariate of numbers",
    "future_categories": "a future covariate of text",
    "static_covariates": "a static covariate of numbers",
    "static_categories": "a static covariate of text",
}
"""What the column of each part of a schema is."""


def columns_of(schema: Schema | None, part: str) -> list[dict[str, Any]]:
    """Return the columns of a part of a schema, each a dict with ``"name"``; [] where nothing is said."""
    columns = (schema or {}).get(part) or []
    if not isinstance(columns, Sequence) or isinstance(columns, str):
        return []
    return [dict(one) if isinstance(one, Mapping) else {"name": one} for one in columns]


def column_name(schema: Schema | None, part: str, index: int) -> str:
    """Return what a message calls a column: its name, or its number where no schema names it."""
    columns = columns_of(schema, part)
    return f"column {columns[index]['name']!r}" if index < len(columns) else f"column number {index + 1}"


def check_schema(trained: Schema, given: Schema) -> None:
    """Raise unless data have the columns, the step and the meanings that a model was trained on.

    Only what both tell is compared, and all of a column that the model was trained on.

    Args:
        trained: the model's schema.
        given: that of the data.

    Raises:
        ValueError: they differ; the message has both sides.

    """
    _check_parts(trained, given)
    for part, expected in trained.items():
        if part not in given:
            continue
        found = given[part]
        if not isinstance(expected, Sequence) or isinstance(expected, str):
            if found != expected:
                raise ValueError(f"the model was trained on {part} {expected!r}, the data have {found!r}")
            continue
        trained_columns, data_columns = columns_of(trained, part), columns_of(given, part)
        names, data_names = ([str(one["name"]) for one in side] for side in (trained_columns, data_columns))
        if names != data_names:
            missing = [name for name in names if name not in data_names]
            more = [name for name in data_names if name not in names]
            what = f"missing: {', '.join(missing)}" if missing else f"not known to it: {', '.join(more)}"
            what = what if missing or more else "another order"
            raise ValueError(
                f"the model was trained on {part} {', '.join(names) or 'none'}; the data have "
                f"{', '.join(data_names) or 'none'} ({what})"
            )
        for ours, theirs in zip(trained_columns, data_columns, strict=True):
            for key, value in ours.items():
                # That there are gaps is no meaning: a part of the data may happen to have none.
                if key not in ("name", "gaps") and key in theirs and theirs[key] != value:
                    raise ValueError(
                        f"the model was trained on {part} {ours['name']!r} with {key} {value!r}; in the "
                        f"data it is {theirs[key]!r}"
                    )


def _check_parts(trained: Schema, given: Schema) -> None:
    """Raise ValueError where a column plays another part, such as text that was numbers."""
    data_parts = {one["name"]: part for part in PARTS for one in columns_of(given, part)}
    for part in PARTS:
        for column in columns_of(trained, part):
            other = data_parts.get(column["name"], part)
            if other != part:
                raise ValueError(
                    f"the model was trained on column {column['name']!r} as {PARTS[part]}; in the data it is "
                    f"{PARTS[other]}"
                )
