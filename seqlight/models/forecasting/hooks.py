"""What a forecaster does around a training: it is fitted to the data, and checkpoints hold what it learns."""

from collections.abc import Mapping
from typing import Any

import torch

from seqlight.inputs import check_schema
from seqlight.models.forecasting.head_checks import check_counts
from seqlight.models.forecasting.steps import ForecasterSteps
from seqlight.models.lightning.checkpoint import is_of_0_1
from seqlight.models.lightning.training_values import large_part_of, values_of_trainer


class ForecasterHooks(ForecasterSteps):
    """Lightning's hooks of :class:`~seqlight.models.Forecaster`."""

    schema: dict[str, Any] | None

    def setup(self, stage: str) -> None:
        """Compare the data's schema with the model's; fit transform and scales on the training part, unless
        they were fitted before or loaded."""
        super().setup(stage)
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = getattr(data, "tbptt_steps", None)
        if stage == "fit" and (steps is not None or getattr(data, "stateful", False)):
            # Now, before anything is fitted or trained.
            past = torch.ones(1, self.context_length, self.target_size)
            length = self.context_length if steps is None else min(steps, self.context_length)
            self._check_chunk(length, self.transform.transform(past)[1])
        if stage == "fit" and (self.head.counts or not self.transform.fitted):
            self._fit_transform(data)
        if stage == "fit" and callable(getattr(data, "covariate_statistics", None)):
            self.inputs.fit_scales(data.covariate_statistics())

    def _fit_transform(self, data: Any) -> None:
        """Fit the transform on the training part, and see whether that suits the head."""
        part = None if self.transform.fits_on_windows else large_part_of(data)
        if part is not None:
            if self.head.counts:
                for some in part.parts():
                    check_counts("training target", some, self.head)
            if not self.transform.fitted:
                self.transform.fit_on(part)
            return
        found = values_of_trainer(self.trainer, as_windows=self.transform.fits_on_windows)
        if found is not None and self.head.counts:
            values, observed = found
            check_counts("training target", values.masked_fill(~observed.bool(), torch.nan), self.head)
        if found is not None and not self.transform.fitted:
            self.transform.fit(*found)

    def check_data(self, data: Any) -> None:
        """Compare a DataModule's schema with the model's, and find its series among those of the model.

        Raises:
            ValueError: the schemas differ.

        """
        if self.schema is not None and callable(getattr(data, "schema", None)):
            check_schema(self.schema, data.schema())
        super().check_data(data)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Look for missing values before training where it is not the CPU that trains.

        On the CPU every batch is looked at; elsewhere that would have the host wait for the device.
        """
        super().on_train_batch_start(batch, batch_idx)
        if batch_idx == 0 and self.device.type != "cpu" and isinstance(batch, Mapping):
            self.inputs.check_values(batch)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take a checkpoint of 0.1, which scaled no covariates, for one that scales them by 1."""
        super().on_load_checkpoint(checkpoint)
        if is_of_0_1(checkpoint):
            for name, value in self.state_dict().items():
                if name.startswith("inputs.scalers."):
                    checkpoint["state_dict"].setdefault(name, value)

    @classmethod
    def arguments_of_0_1(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that make a forecaster as version 0.1 made it of others."""
        made = super().arguments_of_0_1(arguments)
        if made.get("future_covariate_size") and not cls.target_only:
            made["future_rows"] = "next"
        return made
