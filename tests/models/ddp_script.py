"""Trains a forecaster in one process or in two, and saves what came out: see test_ddp.py.

Lightning starts the second process by running this script again.
"""

import importlib.util
import os
import sys
import warnings
from pathlib import Path

import torch
from lightning import Trainer
from torch.utils.data import DataLoader, DistributedSampler

from seqlight.models import LSTMForecaster

# Tests are no package; the windows are those of the other tests.
spec = importlib.util.spec_from_file_location("fixtures", Path(__file__).with_name("conftest.py"))
assert spec is not None and spec.loader is not None
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)


def train(processes: int, folder: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    forecaster = LSTMForecaster(
        context_length=fixtures.CONTEXT,
        prediction_length=fixtures.HORIZON,
        hidden_size=4,
        peephole=True,
        strategy="every_step",
        transform="standard",
        observed_indicator=True,
        optimizer="sgd",
        lr=0.05,
    )
    # Half of the windows have many missing cells: the processes' counts differ.
    samples = fixtures.sine_windows(32, missing=0.01) + fixtures.sine_windows(32, missing=0.6)
    samples = [sample for pair in zip(samples[:32], samples[32:], strict=True) for sample in pair]
    # Lightning would shuffle in two processes, though not in one.
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    sampler = DistributedSampler(samples, num_replicas=processes, rank=rank, shuffle=False)
    loader = DataLoader(samples, batch_size=16 // processes, sampler=sampler)
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(forecaster, loader, loader)
    trainer.save_checkpoint(folder / f"{processes}.ckpt")
    if trainer.is_global_zero:
        torch.save(
            {name: value.item() for name, value in trainer.callback_metrics.items()},
            folder / f"{processes}.pt",
        )


if __name__ == "__main__":
    train(int(sys.argv[1]), Path(sys.argv[2]))
