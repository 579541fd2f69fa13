"""The one place that knows what a network is given, and in which order."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqlight.inputs.categories import CategoryEmbeddings
from seqlight.inputs.checks import check_shape
from seqlight.inputs.covariate_scaler import CovariateScaler
from seqlight.inputs.future_head import FutureHead
from seqlight.inputs.schema import column_name, columns_of
from seqlight.inputs.window import Window

# What a batch holds: its axis over time (None for none), the last axis, and the argument that says how many.
ENTRIES: dict[str, tuple[str | None, str, str]] = {
    "past_covariates": ("L", "P", "past_covariate_size"),
    "past_categories": ("L", "Pc", "past_cardinalities"),
    "historic_future_covariates": ("L", "F", "future_covariate_size"),
    "historic_future_categories": ("L", "Fc", "future_cardinalities"),
    "future_covariates": ("H", "F", "future_covariate_size"),
    "future_categories": ("H", "Fc", "future_cardinalities"),
    "static_covariates": (None, "S", "static_covariate_size"),
    "static_categories": (None, "Sc", "static_cardinalities"),
}
"""The entries of a batch beside the target, in the order in which a network is given them."""

SCALED = ("past_covariates", "future_covariates", "static_covariates")
"""The kinds of numeric covariates, by which ``covariate_statistics()`` of a DataModule names them."""


class NetworkInputs(nn.Module):
    """Scales covariates, embeds categories, and joins them with the target to a network's input.

    Args:
        target_size: channels C of the target.
        prediction_length: number H of future steps.
        observed_indicator: whether a channel per target tells which cells were observed.
        past_covariate_size: number P of covariates known up to now only.
        future_covariate_size: number F of covariates known ahead.
        static_covariate_size: number S of values that do not change over time.
        past_cardinalities: known values of each column of categories known up to now only.
        future_cardinalities: likewise, of those known ahead.
        static_cardinalities: likewise, of those that do not change.
        schema: says by ``"gaps"`` which past covariates may be missing (NaN): each of these has an indicator
            channel; and names columns in messages.
        all_future_rows: whether outputs of H steps see the known covariates of all of them
            (:class:`FutureHead`), rather than of the first.
        linear: keep all of it linear, for a model that is solved by least squares.
        independent: whether the network is given one channel of the target at a time, see
            :class:`seqlight.nn.ChannelIndependent`.
        category_dropout: see :class:`CategoryEmbeddings`.
        parameter_count: numbers that the network gives for each channel of a step ahead.

    """

    gap_columns: Tensor

    def __init__(
        self,
        *,
        target_size: int,
        prediction_length: int,
        observed_indicator: bool = False,
        past_covariate_size: int = 0,
        future_covariate_size: int = 0,
        static_covariate_size: int = 0,
        past_cardinalities: Sequence[int] = (),
        future_cardinalities: Sequence[int] = (),
        static_cardinalities: Sequence[int] = (),
        schema: Mapping[str, Any] | None = None,
        all_future_rows: bool = False,
        linear: bool = False,
        independent: bool = False,
        category_dropout: float = 0.05,
        parameter_count: int = 1,
    ) -> None:
        super().__init__()
        self.prediction_length = prediction_length
        self.observed_indicator = observed_indicator
        self.schema = schema
        self.sizes = {
            "past_covariate_size": past_covariate_size,
            "past_cardinalities": len(past_cardinalities),
            "future_covariate_size": future_covariate_size,
            "future_cardinalities": len(future_cardinalities),
            "static_covariate_size": static_covariate_size,
            "static_cardinalities": len(static_cardinalities),
        }
        self.cardinalities = {
            "past_categories": list(past_cardinalities),
            "historic_future_categories": list(future_cardinalities),
            "future_categories": list(future_cardinalities),
            "static_categories": list(static_cardinalities),
        }
        # Modules only for what there is, so that a model without covariates has none.
        self.scalers = nn.ModuleDict(
            {name: CovariateScaler(self._size(name)) for name in SCALED if self._size(name)}
        )
        self.embeddings = nn.ModuleDict(
            {
                name: CategoryEmbeddings(self.cardinalities[name], dropout=category_dropout, one_hot=linear)
                for name in ("past_categories", "future_categories", "static_categories")
                if self.cardinalities[name]
            }
        )
        gaps = [
            index
            for index, column in enumerate(columns_of(schema, "past_covariates")[:past_covariate_size])
            if column.get("gaps")
        ]
        self.register_buffer("gap_columns", torch.tensor(gaps, dtype=torch.int64), persistent=False)
        future_size = future_covariate_size + self._embedded("future_categories")
        self.past_size = past_covariate_size + len(gaps) + self._embedded("past_categories")
        static_size = static_covariate_size + self._embedded("static_categories")
        self.of_each = 1 + observed_indicator
        """Channels of an input for each channel of the target."""
        given = 1 if independent else target_size
        self.decoder_input_size = given * self.of_each + future_size + static_size
        """Channels that a decoder over the future is given: without past covariates."""
        self.input_size = self.decoder_input_size + self.past_size
        """Channels that the network is given at each step of the past."""
        self.future_head: FutureHead | None = None
        if all_future_rows and future_size:
            self.future_head = FutureHead(
                future_size,
                prediction_length,
                target_size,
                linear=linear,
                independent=independent,
                parameter_count=parameter_count,
            )

    @property
    def names(self) -> list[str]:
        """The entries of a batch that are needed beside the target."""
        return [name for name in ENTRIES if self._size(name)]

    def example(self, batch_size: int, context_length: int) -> dict[str, Tensor]:
        """Return zeros of the right shapes for all :attr:`names`."""
        lengths = {"L": context_length, "H": self.prediction_length}
        made = {}
        for name in self.names:
            time = ENTRIES[name][0]
            shape = [batch_size, *([] if time is None else [lengths[time]]), self._size(name)]
            dtype = torch.int64 if name in self.cardinalities else torch.float32
            made[name] = torch.zeros(shape, dtype=dtype)
        return made

    def fit_scales(self, statistics: Mapping[str, tuple[Any, Any]]) -> None:
        """Fit scales that are not fitted yet.

        Args:
            statistics: (mean, std) of the training part, one number a column, by the names in :data:`SCALED`.

        """
        for name, scaler in self.scalers.items():
            if isinstance(scaler, CovariateScaler) and not scaler.fitted and name in statistics:
                like = scaler.mean
                scaler.fit(*(torch.as_tensor(value).to(like) for value in statistics[name]))

    def check_known(self, given: Mapping[str, Tensor | None]) -> None:
        """Raise ValueError if there is a covariate that the model was not built for: none is dropped."""
        for name, (_, _, argument) in ENTRIES.items():
            value = given.get(name)
            if value is None or self._size(name) or not value.shape[-1]:
                continue
            columns = value.shape[-1]
            built_for = f"{argument}={[] if name in self.cardinalities else 0}"
            raise ValueError(
                f"{name}: the batch has {columns} of them, the model was built for none ({built_for}). Build "
                f"it with {argument} of the data, or leave the columns out of the data"
            )

    def window(
        self, past: Tensor, given: Mapping[str, Tensor], length: int, input_dtype: torch.dtype
    ) -> Window:
        """Return the window of a transformed past.

        Args:
            past: ``[B, L, C]``, NaN where missing.
            given: the entries of :attr:`names`, see :data:`ENTRIES`.
            length: L.
            input_dtype: dtype of the network's inputs.

        Raises:
            ValueError: an entry is missing, has a wrong shape, or a value that cannot be.

        """
        self._check(given, past.shape[0], length)
        known = [self._known_ahead(name, given) for name in ("future_covariates", "future_categories")]
        return Window(
            past=past,
            prediction_length=self.prediction_length,
            covariates=_joined(known, past.dtype),
            static=_joined([self._static(name, given) for name in ENTRIES], past.dtype),
            past_covariates=_joined(self._past(given), past.dtype),
            observed_indicator=self.observed_indicator,
            input_dtype=input_dtype,
            future_head=self.future_head,
        )

    def check_values(self, given: Mapping[str, Tensor | None]) -> None:
        """Raise ValueError where something known ahead is missing, or a code is none of the categories.

        It reads the values, so a caller asks this of tensors on the CPU only.
        """
        for name in ("historic_future_covariates", "future_covariates", "static_covariates"):
            value = given.get(name)
            if value is None or not self._size(name):
                continue
            missing = value.isnan().flatten(0, -2).any(0)
            if missing.any():
                part = "static_covariates" if name == "static_covariates" else "future_covariates"
                column = column_name(self.schema, part, int(missing.nonzero()[0]))
                raise ValueError(
                    f"{name}: {column} is missing (NaN) in some rows; what is known ahead must be known in "
                    "every row of the past and of the future. Fill it in the data, or make it a past "
                    "covariate, which may have gaps"
                )
        for name, cardinalities in self.cardinalities.items():
            codes = given.get(name)
            if codes is None or not cardinalities or not codes.numel():
                continue
            highest = torch.tensor(cardinalities, device=codes.device)
            wrong = ((codes < 0) | (codes > highest)).flatten(0, -2).any(0)
            if wrong.any():
                index = int(wrong.nonzero()[0])
                column = column_name(self.schema, name.removeprefix("historic_"), index)
                raise ValueError(
                    f"{name}: {column} has codes outside 0 (not seen) to {cardinalities[index]}, the number "
                    "of values that the model was built for"
                )

    def _check(self, given: Mapping[str, Tensor], batch: int, length: int) -> None:
        lengths = {"L": length, "H": self.prediction_length}
        for name in self.names:
            time, letter, argument = ENTRIES[name]
            value = given.get(name)
            if value is None:
                built_for = self.cardinalities[name] if name in self.cardinalities else self._size(name)
                raise ValueError(f"{name}: needed, for the model was built with {argument}={built_for}")
            axes = {"B": batch} | ({} if time is None else {time: lengths[time]})
            check_shape(name, value, axes | {letter: self._size(name)})
        if all(value.device.type == "cpu" for value in given.values()) and not torch.compiler.is_compiling():
            self.check_values(given)

    def _size(self, name: str) -> int:
        return self.sizes[ENTRIES[name][2]]

    def _embedded(self, name: str) -> int:
        size: int = self.embeddings[name].output_size if name in self.embeddings else 0  # type: ignore[assignment]
        return size

    def _known_ahead(self, name: str, given: Mapping[str, Tensor]) -> Tensor | None:
        """Return what is known of the times 2 to L + H, ``[B, L + H - 1, ...]``."""
        if not self._size(name):
            return None
        rows = torch.cat([given[f"historic_{name}"][:, 1:], given[name]], dim=1)
        return self._encode(name, rows)

    def _static(self, name: str, given: Mapping[str, Tensor]) -> Tensor | None:
        return self._encode(name, given[name]) if self._size(name) and ENTRIES[name][0] is None else None

    def _past(self, given: Mapping[str, Tensor]) -> list[Tensor | None]:
        parts: list[Tensor | None] = []
        if self._size("past_covariates"):
            values = given["past_covariates"]
            missing = values.isnan()
            parts.append(self._encode("past_covariates", values).masked_fill(missing, 0.0))
            if self.gap_columns.numel():
                parts.append((~missing).index_select(2, self.gap_columns).to(values.dtype))
        if self._size("past_categories"):
            parts.append(self._encode("past_categories", given["past_categories"]))
        return parts

    def _encode(self, name: str, values: Tensor) -> Tensor:
        layer = self.embeddings[name] if name in self.cardinalities else self.scalers[name]
        encoded: Tensor = layer(values)
        return encoded


def _joined(parts: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor | None:
    there = [part.to(dtype) for part in parts if part is not None]
    return torch.cat(there, dim=-1) if there else None
