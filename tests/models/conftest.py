"""Small windows of sine waves, and a Trainer that leaves nothing behind."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

Sample = dict[str, Tensor]

CONTEXT, HORIZON, SEASON = 24, 6, 12


def sine_windows(
    count: int = 256, *, channels: int = 1, noise: float = 0.05, missing: float = 0.0
) -> list[Sample]:
    """Windows of noisy sine waves of period 12, each with its own phase, level and amplitude."""
    generator = torch.Generator().manual_seed(count)
    steps = torch.arange(CONTEXT + HORIZON, dtype=torch.float32)[None, :, None]
    phase, level, amplitude = torch.rand(3, count, 1, channels, generator=generator)
    values = 10 * level + (1 + amplitude) * torch.sin(2 * torch.pi * (steps / SEASON + phase))
    values += noise * torch.randn(values.shape, generator=generator)
    observed = torch.rand(values.shape, generator=generator) >= missing
    values = values.masked_fill(~observed, torch.nan)
    samples = []
    for index in range(count):
        sample = {
            "past_target": values[index, :CONTEXT],
            "future_target": values[index, CONTEXT:],
            "series_index": torch.tensor(index),
            "start": torch.tensor(CONTEXT),
            "scale": torch.full((channels,), noise),
        }
        if missing:
            sample["past_observed"] = observed[index, :CONTEXT]
            sample["future_observed"] = observed[index, CONTEXT:]
        samples.append(sample)
    return samples


@pytest.fixture
def sizes() -> dict[str, int]:
    return {"context_length": CONTEXT, "prediction_length": HORIZON}


@pytest.fixture
def windows() -> Callable[..., list[Sample]]:
    return sine_windows


@pytest.fixture
def loader() -> Callable[..., DataLoader[Sample]]:
    def make(
        count: int = 256, *, batch_size: int = 32, shuffle: bool = False, **kwargs: Any
    ) -> DataLoader[Sample]:
        samples: Any = sine_windows(count, **kwargs)
        return DataLoader(samples, batch_size=batch_size, shuffle=shuffle)

    return make


@pytest.fixture
def trainer(tmp_path: Any) -> Callable[..., Trainer]:
    def make(**kwargs: Any) -> Trainer:
        # Advice of Lightning's that tests do not take. Here, because filters last as long as a test's call.
        advice = (
            ".*does not have many workers",
            "You defined a `validation_step`",
            "GPU available but not used",
        )
        for message in advice:
            warnings.filterwarnings("ignore", message)
        quiet: dict[str, Any] = {
            "accelerator": "auto" if "strategy" in kwargs else "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": tmp_path,
        }
        return Trainer(**(quiet | kwargs))

    return make
