"""What is fitted on a training part that is not copied is what is fitted on its copy."""

import numpy as np
import pytest
import torch

from seqlight.data import ForecastDataModule, SeriesDataset, SeriesStore
from seqlight.data.store import training_part
from seqlight.transforms import TRANSFORMS, build_transform
from seqlight.transforms.base import Transform

COMPOSED = [
    "log(1) + standard",
    "standard(per_channel=False)",
    "min_max(per_channel=False)",
    "min_max + box_cox(offset=1)",
]
SEASONAL = {"decompose": "decompose(3)", "difference": "difference(1, 3)"}


@pytest.fixture(params=[7, 1_000])
def module(request, monkeypatch):
    """Series of 400, 3 and 50 rows with gaps, whose training part comes in parts of few rows or at once."""
    monkeypatch.setattr(training_part, "_ROWS_AT_A_TIME", request.param)
    monkeypatch.setattr(training_part, "LEAST_ROWS", 1)
    monkeypatch.setattr("seqlight.data.modules.forecast_data_module.LEAST_ROWS", 1)
    random = np.random.default_rng(0)
    series = [5 + random.gamma(2, size=(rows, 2)).astype(np.float32) for rows in (400, 3, 50)]
    series[0][random.random(400) < 0.2, 0] = np.nan
    dataset = SeriesDataset.from_store(SeriesStore.from_arrays(series), ["a", "b"])
    return ForecastDataModule(dataset, context_length=6, prediction_length=2, missing="mask")


def test_the_parts_are_the_rows_of_the_copy(module):
    part = module.training_part()
    rows = torch.cat(list(part.parts()))
    expected = module.training_target()[0]
    torch.testing.assert_close(rows, expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(part.sample(10**6), expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(
        part.sample(9), expected[:: len(expected) // 9], rtol=0, atol=0, equal_nan=True
    )
    assert len(part) == len(expected) < len(module.store.values)


@pytest.mark.parametrize("text", [*(SEASONAL.get(name, name) for name in TRANSFORMS), *COMPOSED])
def test_every_transform_is_fitted_alike(module, monkeypatch, text):
    copied = build_transform(text, 2).fit(*module.training_target())
    monkeypatch.setattr(Transform, "fit_on", None)  # which would hold a copy
    ours = build_transform(text, 2).fit_on(module.training_part())
    for name, value in copied.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=1e-7)
