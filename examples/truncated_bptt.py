"""Truncated backpropagation through time: sequences of 5,000 steps, trained in chunks of 100.

Every chunk is one ordinary Lightning batch: gradient clipping, accumulation, mixed precision, schedulers,
logging and checkpoints are the Trainer's own arguments, as in any training. Only the state is new: the
model carries it from one chunk to the next. The target here is a slow average of the input that remembers 500
steps, five times as far as a chunk reaches, so a model that forgets its state at every chunk cannot follow.

    python examples/truncated_bptt.py
    python examples/truncated_bptt.py --forget             # what the carried state is for
    python examples/truncated_bptt.py --steps 5000         # one chunk: full backpropagation through time

For forecasting it is an option of the data: see examples/configs/gru_demand_long.yaml.
"""

import argparse
from typing import Any

import torch
from lightning import Trainer, seed_everything
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import seqlight
from seqlight.callbacks import GradientMonitor
from seqlight.data import TBPTTLoader
from seqlight.models import CarriesState


class SlowAverage(CarriesState):
    """An LSTM that follows a slow average of its input."""

    def __init__(self, hidden_size: int = 16, forget: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters()
        # A forget gate that starts open, and orthogonal weights, let gradients through.
        self.lstm = seqlight.nn.LSTM(1, hidden_size, recurrent_init="orthogonal", forget_bias=1.0)
        self.head = torch.nn.Linear(hidden_size, 1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One chunk: begin with the carried state, and carry the one at its end."""
        state = None if self.hparams["forget"] else self.carried_state(batch["reset"])
        output, state = self.lstm(batch["x"], state)
        if not self.hparams["forget"]:
            self.carry_state(state)  # detached
        loss = mse_loss(self.head(output), batch["y"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Adam with a schedule over all chunks, which the Trainer counts."""
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def slow_average(sequences: int, length: int) -> TensorDataset:
    """Noise x [N, T, 1] and its slow average y_t = 0.998 y_(t-1) + 0.06 x_t, whose deviation is about one."""
    x = torch.randn(sequences, length, 1)
    y = torch.zeros_like(x)
    for t in range(length):
        y[:, t] = 0.998 * y[:, t - 1] + 0.06 * x[:, t]
    return TensorDataset(x, y)


def main() -> None:
    """Train, and print the loss beside that of the best constant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=100, help="time steps of a chunk")
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--forget", action="store_true", help="start every chunk without a state")
    given = parser.parse_args()

    seed_everything(0)
    data = slow_average(given.sequences, given.length)
    loader = DataLoader(data, batch_size=16, shuffle=True)
    chunks = TBPTTLoader(loader, given.steps, length=given.length, names=("x", "y"))
    monitor = GradientMonitor(50, dirpath="gradients")
    trainer = Trainer(max_epochs=given.epochs, gradient_clip_val=1.0, logger=False, callbacks=[monitor])
    trainer.fit(SlowAverage(forget=given.forget), chunks)

    loss = trainer.callback_metrics["train_loss"].item()
    variance = data.tensors[1].var().item()
    print(
        f"{len(chunks)} batches an epoch; mean squared error {loss:.4f}, of the best constant {variance:.4f}"
    )
    print("wrote gradients/gradients_through_time.png")


if __name__ == "__main__":
    main()
