"""A network of your own in a Forecaster: ten lines, and everything else is inherited.

The network here is a stack of two torch.nn.GRU layers. Training, validation, metrics in the data's units,
missing cells, checkpoints, ``seqlight.load`` and the strategies for several steps ahead are ``Forecaster``'s.
A plain Trainer trains it, to show that it is a LightningModule like any other; ``seqlight.experiments.fit``
adds early stopping and the best epoch's weights.

    python examples/subclass_forecaster.py
    python examples/subclass_forecaster.py --strategy every_step --epochs 5
"""

import argparse
from typing import Any

import torch
from lightning import Trainer, seed_everything

import seqlight
from seqlight.data import SyntheticDataModule
from seqlight.models import Forecaster, SequenceNetwork


class StackedGRUForecaster(Forecaster):
    """Two GRU layers and a linear layer on top."""

    def __init__(self, *, hidden_size: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_network(self) -> torch.nn.Module:
        """Return the network: ``[B, T, input_size]`` in, ``([B, T, output_size], state)`` out."""
        hidden_size = self.hparams["hidden_size"]
        core = torch.nn.GRU(self.input_size, hidden_size, num_layers=2, batch_first=True)
        return SequenceNetwork(core, torch.nn.Linear(hidden_size, self.output_size))


def main() -> None:
    """Train on the sums of two sine waves of the chapter, ten steps ahead, and load the checkpoint again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategy", default="direct", choices=["direct", "recursive", "every_step"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=None, help="at most so many batches per epoch")
    given = parser.parse_args()

    seed_everything(0)
    data = SyntheticDataModule(prediction_length=10)
    model = StackedGRUForecaster(
        context_length=data.context_length,
        prediction_length=data.prediction_length,
        strategy=given.strategy,
        transform="none",
        lr=5e-3,
    )
    trainer = Trainer(max_epochs=given.epochs, limit_train_batches=given.batches, logger=False)
    trainer.fit(model, data)
    trainer.validate(model, data)
    trainer.save_checkpoint("gru.ckpt")

    model = seqlight.load("gru.ckpt", cls=StackedGRUForecaster)
    past = next(iter(data.test_dataloader()))["past_target"]
    print(f"{tuple(past.shape)} in, {tuple(model(past).shape)} out")


if __name__ == "__main__":
    main()
