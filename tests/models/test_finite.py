"""Losses, weights, gradients and predictions that are not finite: seen in time, told, and never written."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.utils.data import DataLoader

from seqlight.data import SyntheticDataModule
from seqlight.models import LinearForecaster, LSTMForecaster, NaiveForecaster, NonFiniteError, RNNForecaster
from seqlight.models.lightning.finite import CHECK_EVERY, check_prediction, first_non_finite

SIZES: dict[str, Any] = {"context_length": 24, "prediction_length": 6}


class Trouble(LinearForecaster):
    """Its loss, or with ``gradient`` that of its weights alone, becomes ``value`` at the given steps."""

    def __init__(self, *steps: int, value: float = float("nan"), gradient: bool = False) -> None:
        torch.manual_seed(0)
        super().__init__(**SIZES)
        self.steps, self.value, self.gradient, self.made = steps, value, gradient, 0

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        assert loss is not None
        troubled = self.made in self.steps
        self.made += 1
        if troubled and self.gradient:
            return loss + (next(self.parameters()) * 0.0).sum().sqrt()  # 0, whose slope is infinite
        return loss * self.value if troubled else loss


def test_the_loss_is_looked_at_before_its_gradient(trainer: Any, loader: Any) -> None:
    """The step is named, and the weights stay as the last good step left them."""
    model, good = Trouble(5), Trouble()
    with pytest.raises(
        NonFiniteError, match=r"^training stopped in epoch 1, step 5: the loss is nan; try "
    ) as error:
        trainer(max_epochs=3).fit(model, loader(96))
    assert "a lower rate, lr=0.0001 or gradient_clip_val=1.0" in str(error.value)
    assert (error.value.what, error.value.where) == ("the loss is nan", "epoch 1, step 5")
    trainer(max_steps=5, max_epochs=3).fit(good, loader(96))
    assert all(map(torch.equal, model.parameters(), good.parameters()))


def test_weights_in_float16(trainer: Any) -> None:
    """Adam divides by sums that float16 cannot tell from 0; the precisions that the message names can."""
    data = SyntheticDataModule(context_length=24, prediction_length=6, n_train=96, n_val=4, batch_size=32)
    model = LSTMForecaster(hidden_size=4, **SIZES)
    with pytest.raises(
        NonFiniteError, match=r"step 1: .*weights are no longer finite, such as .*: use "
    ) as error:
        trainer(max_epochs=2, precision="16-true").fit(model, data)
    named = re.findall(r"'([^']+)'", str(error.value).partition(": use ")[2])
    assert named == ["16-mixed", "bf16-mixed", "32-true"]
    for precision in named[1:]:  # the first one is for a GPU
        model = LSTMForecaster(hidden_size=4, **SIZES)
        trainer(max_epochs=2, precision=precision).fit(model, data)
        assert first_non_finite(model) is None


def test_infinite_data_are_named(trainer: Any, loader: Any) -> None:
    batches = list(loader(96))
    batches[1]["past_target"][3, 7] = torch.inf
    message = r"step 1: the loss is nan; the batch's 'past_target' holds infinite values: mend the data$"
    with pytest.raises(NonFiniteError, match=message):
        trainer(max_epochs=1).fit(LinearForecaster(**SIZES), DataLoader(batches, batch_size=None))


@pytest.mark.parametrize("where", ["at the end of the epoch", "after so many steps"])
def test_weights_that_a_gradient_spoils(where: str, trainer: Any, loader: Any) -> None:
    """In the last step that is looked at: no loss comes after it."""
    steps = 3 if where == "at the end of the epoch" else CHECK_EVERY
    count = 32 * (steps if where == "at the end of the epoch" else steps + 10)
    model = Trouble(steps - 1, gradient=True)
    message = f"epoch 0, step {steps}: weights are no longer finite, such as network"
    with pytest.raises(NonFiniteError, match=message):
        trainer(max_epochs=1).fit(model, loader(count))
    assert model.made == steps


@pytest.mark.parametrize("every", [1, None])
def test_no_checkpoint_of_such_weights_is_written(
    every: int | None, trainer: Any, loader: Any, tmp_path: Path
) -> None:
    saving = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=every, save_top_k=-1)
    with pytest.raises(NonFiniteError, match="step 3: weights are no longer finite"):
        trainer(max_epochs=1, callbacks=[saving], enable_checkpointing=True).fit(
            Trouble(2, gradient=True), loader(96)
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == (
        ["step=1.ckpt", "step=2.ckpt"] if every else []
    )


def test_a_checkpoint_by_hand_is_refused_too(trainer: Any, loader: Any, tmp_path: Path) -> None:
    model, running = LinearForecaster(**SIZES), trainer(max_epochs=1)
    running.fit(model, loader(32))
    with torch.no_grad():
        next(model.parameters())[0] = torch.inf
    with pytest.raises(
        NonFiniteError, match=r"^weights are no longer finite, such as .*, and no checkpoint was"
    ):
        running.save_checkpoint(tmp_path / "a.ckpt")
    assert list(tmp_path.iterdir()) == []


def scaled_precision() -> MixedPrecision:
    """What ``precision="16-mixed"`` is on a GPU; on the CPU Lightning would take bfloat16 instead."""
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))


def test_a_gradient_scaler_may_skip_steps(trainer: Any, loader: Any) -> None:
    """As of AMP's first steps, whose scale is too large: training goes on, and only the others count."""
    model = Trouble(0, 3, value=float("inf"))
    running = trainer(max_epochs=2, plugins=[scaled_precision()])
    running.fit(model, loader(96))
    assert model.made == 6 and first_non_finite(model) is None


def test_a_gradient_scaler_that_skips_all_steps_ends(trainer: Any, loader: Any) -> None:
    model = Trouble(*range(1000))
    with pytest.raises(NonFiniteError, match="step 50: the gradients have not been finite for long"):
        trainer(max_epochs=1, plugins=[scaled_precision()]).fit(model, loader(32 * 60))


def test_another_device_is_not_waited_for_and_the_step_is_right(
    other_device: Any, trainer: Any, loader: Any
) -> None:
    model = Trouble(2)
    with pytest.raises(
        NonFiniteError, match=r"epoch 0, step 2: the loss is nan, and weights are no longer"
    ) as error:
        trainer(max_epochs=1, **other_device.trainer_options()).fit(model, loader(32 * 5))
    assert model.made == 5  # told at the end of the epoch
    assert error.value.where == "epoch 0, step 2"


def test_a_class_with_callbacks_of_its_own_still_writes_no_such_checkpoint(
    trainer: Any, loader: Any, tmp_path: Path
) -> None:
    class OwnCallbacks(Trouble):
        def configure_callbacks(self) -> list[Callback]:
            return []

    with pytest.raises(NonFiniteError):
        trainer(max_epochs=1, callbacks=[ModelCheckpoint(tmp_path)], enable_checkpointing=True).fit(
            OwnCallbacks(1), loader(96)
        )
    assert list(tmp_path.iterdir()) == []


# Predictions


def windows(*rows: list[float]) -> dict[str, Tensor]:
    return {"past_target": torch.tensor(rows).unsqueeze(2), "series_index": torch.arange(len(rows))}


def test_a_window_without_a_known_value_may_have_no_forecast() -> None:
    """Of one with known values it is refused, and its series named."""
    naive = NaiveForecaster(context_length=2, prediction_length=1)
    nan, inf = float("nan"), float("inf")
    check_prediction({"prediction": torch.full((1, 1, 1), nan)}, {}, known=torch.tensor([[[False]]]))
    with pytest.raises(NonFiniteError, match="'past_target' holds infinite values: mend the data"):
        naive.predict_step(windows([1.0, 2.0], [1.0, inf]), 0)
    huge = RNNForecaster(context_length=2, prediction_length=1, hidden_size=2, transform="none")
    with torch.no_grad():
        huge.network.head.bias.fill_(3e38)
        huge.network.head.weight.fill_(3e38)
        huge.network.core.bias_ih_l0.fill_(9.0)
    message = (
        r"^the model's prediction is inf in 2 of 2 rows of a batch, first of series 0; its weights may not .*"
        r"use precision='32-true', or divide the data by a constant$"
    )
    with torch.no_grad(), pytest.raises(NonFiniteError, match=message):
        huge.predict_step(windows([1.0, 2.0], [2.0, 3.0]), 0)


ARRAY_ERROR = r"^past_target: expected a torch.Tensor, got ndarray; pass torch.from_numpy\(array\)$"


def test_arrays_and_lists_are_no_tensors() -> None:
    model = LinearForecaster(**SIZES)
    array = torch.zeros(1, 24, 1).numpy()
    with pytest.raises(TypeError, match=ARRAY_ERROR):
        model(array)
    with pytest.raises(TypeError, match=ARRAY_ERROR):
        model.predict_step({"past_target": array}, 0)
    with pytest.raises(TypeError, match=r"past_target: expected a torch.Tensor, got list; pass torch.tensor"):
        model(array.tolist())
    with pytest.raises(TypeError, match=r"past_target: expected real numbers, got torch.complex64"):
        model(torch.zeros(1, 24, 1, dtype=torch.complex64))
    # The advice works, and whole numbers are numbers.
    assert torch.equal(model(torch.from_numpy(array)), model(torch.zeros(1, 24, 1, dtype=torch.int64)))
