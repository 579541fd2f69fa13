"""Which column is what: targets, covariates by what is known of them when, and categories."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Schema:
    """Names of the columns of a data set by their part in it.

    Attributes:
        targets: columns to forecast.
        past_covariates: numeric columns known up to now only.
        future_covariates: numeric columns known ahead.
        static_covariates: numeric columns that are constant within a series.
        past_categories, future_categories, static_categories: likewise, columns of text.
    """

    targets: list[str]
    past_covariates: list[str] = field(default_factory=list)
    future_covariates: list[str] = field(default_factory=list)
    static_covariates: list[str] = field(default_factory=list)
    past_categories: list[str] = field(default_factory=list)
    future_categories: list[str] = field(default_factory=list)
    static_categories: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Schema":
        """Return the schema that :meth:`to_dict` made a dict of; other keys are left alone."""
        return cls(**{part.name: list(values[part.name]) for part in fields(cls) if part.name in values})
