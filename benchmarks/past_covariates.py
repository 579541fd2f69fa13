"""Whether the other six columns of ETTh1 help to forecast its oil temperature, as past covariates.

    python benchmarks/past_covariates.py ETTh1.csv

trains an LSTM with and without them, for several seeds on the same windows, and prints the test part's mean
absolute errors of the day after. Windows are gathered here, for the columns are just numbers.
"""

import argparse
import statistics
import warnings
from itertools import pairwise

import polars as pl
import torch
from lightning import Trainer
from torch.utils.data import DataLoader, Dataset

import seqlight
from seqlight.experiments import fit

CONTEXT, HORIZON = 96, 24
TRAIN, VALIDATION, TEST = 8640, 2880, 2880  # hours: 12, 4 and 4 months


class Windows(Dataset):
    """Windows whose forecasts begin in a part of the rows."""

    def __init__(
        self, target: torch.Tensor, others: torch.Tensor, first: int, stop: int, stride: int
    ) -> None:
        self.target, self.others = target, others
        self.starts = range(max(first, CONTEXT), stop - HORIZON + 1, stride)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        start = self.starts[index]
        made = {
            "past_target": self.target[start - CONTEXT : start],
            "future_target": self.target[start : start + HORIZON],
        }
        if self.others.shape[1]:
            made["past_covariates"] = self.others[start - CONTEXT : start]
        return made


def error(target: torch.Tensor, others: torch.Tensor, seed: int, epochs: int) -> float:
    """Train, and return the mean absolute error of the best epoch on the test part."""
    torch.manual_seed(seed)
    ends = [0, TRAIN, TRAIN + VALIDATION, TRAIN + VALIDATION + TEST]
    train, validation, test = (
        DataLoader(Windows(target, others, *part, stride), batch_size=64, shuffle=stride > 1)
        for part, stride in zip(pairwise(ends), (4, 4, 1), strict=True)
    )
    # Scaled by the training part, as covariate_statistics() of a DataModule would have it.
    model = seqlight.models.LSTMForecaster(
        context_length=CONTEXT,
        prediction_length=HORIZON,
        hidden_size=32,
        past_covariate_size=others.shape[1],
        lr=3e-3,
    )
    if others.shape[1]:
        past = others[:TRAIN]
        model.inputs.fit_scales({"past_covariates": (past.mean(0), past.std(0))})
    fitted = fit(model, (train, validation), epochs=epochs, patience=None, accelerator="cpu")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    (logged,) = trainer.test(fitted.model, test, verbose=False)
    return logged["test_mae"]


def main() -> None:
    """Print a line for each seed, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="ETTh1.csv")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    frame = pl.read_csv(given.path)
    columns = [name for name in frame.columns if name not in ("date", "OT")]
    target = frame["OT"].cast(pl.Float32).to_torch().unsqueeze(1)
    others = frame.select(columns).cast(pl.Float32).to_torch()
    errors: dict[str, list[float]] = {"OT alone": [], "with the six others": []}
    for seed in range(given.seeds):
        for name, values in (("OT alone", others[:, :0]), ("with the six others", others)):
            errors[name].append(error(target, values, seed, given.epochs))
            print(f"seed {seed}, {name}: test MAE {errors[name][-1]:.3f}", flush=True)
    for name, found in errors.items():
        print(f"median, {name}: {statistics.median(found):.3f}")


if __name__ == "__main__":
    main()
