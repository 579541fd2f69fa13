"""The tasks that are drawn, by their definitions."""

import numpy as np
import pytest
import torch

from seqlight.data import DataError, SyntheticDataModule

SIZES = {"n_train": 300, "n_val": 40, "n_test": 30, "batch_size": 16}


def batch_of(module, part="test"):
    dataset = module.dataset(part)
    return dataset.__getitems__(torch.arange(len(dataset)))


def test_adding_problem():
    module = SyntheticDataModule("adding_problem", context_length=60, **SIZES)
    assert (module.target_size, module.label_size, module.num_classes) == (2, 1, 0)
    batch = batch_of(module, "train")
    values, marks = batch["past_target"].unbind(-1)
    assert "future_target" not in batch and values.shape == (300, 60)
    assert ((values >= 0) & (values < 1)).all()
    assert set(marks.unique().tolist()) == {0, 1} and (marks.sum(1) == 2).all()
    torch.testing.assert_close(batch["label"], (values * marks).sum(1, keepdim=True))
    # Marks are anywhere; always saying 1 costs the variance of a sum of two uniform numbers.
    assert marks[:, :30].sum() == pytest.approx(300, abs=60)
    assert float((batch["label"] - 1).square().mean()) == pytest.approx(1 / 6, abs=0.04)


def test_copy_memory():
    module = SyntheticDataModule("copy_memory", context_length=70, **SIZES)
    assert (module.target_size, module.label_size, module.num_classes) == (1, 0, 10)
    batch = batch_of(module)
    x, label = batch["past_target"][:, :, 0], batch["label"]
    assert x.shape == label.shape == (30, 70) and label.dtype == torch.int64
    digits = x[:, :10]
    assert set(digits.unique().tolist()) == set(range(1, 9))
    assert (x[:, 10:59] == 0).all() and (x[:, 59:] == 9).all()  # T - 1 zeros, eleven nines
    assert (label[:, :60] == 0).all() and torch.equal(label[:, 60:], digits.long())


def test_waveforms_have_their_shapes():
    module = SyntheticDataModule("waveforms", context_length=200, **SIZES)
    batch = batch_of(module, "train")
    waves, label = batch["past_target"][:, :, 0], batch["label"]
    assert label.unique().tolist() == [0, 1, 2, 3] == list(range(module.num_classes))
    # With amplitude 1, the mean square is 1/2, 1, 1/3 and 1/3; a square wave's largest step is the whole way.
    for index, share in enumerate([1 / 2, 1, 1 / 3, 1 / 3]):
        chosen = waves[label == index]
        amplitude_squared = 7 / 12  # of the amplitudes, uniform on [0.5, 1]
        assert float(chosen.square().mean()) == pytest.approx(share * amplitude_squared + 0.01, rel=0.15)
    steps = waves.diff(dim=1).abs().amax(1)
    assert (steps[label == 1] > 0.6).all() and (steps[label == 3] > 0.6).all()
    assert (steps[(label == 0) | (label == 2)] < 0.7).all()


def test_parametric_sines_are_what_their_numbers_say():
    module = SyntheticDataModule("parametric_sines", context_length=5, prediction_length=20, **SIZES)
    assert (module.static_covariate_size, module.num_classes, module.label_size) == (4, 0, 0)
    batch = batch_of(module)
    a, f, sine, cosine = batch["static_covariates"].double().unsqueeze(1).unbind(-1)
    steps = torch.arange(-5, 20, dtype=torch.float64)
    expected = a * torch.sin((0.1 + 0.4 * f) * steps + torch.atan2(sine, cosine))
    series = torch.cat([batch["past_target"], batch["future_target"]], dim=1)[:, :, 0]
    torch.testing.assert_close(series.double(), expected, atol=1e-5, rtol=0)
    assert ((a >= 0.5) & (a < 1)).all()


@pytest.mark.parametrize("generator", ["waveforms", "parametric_sines", "adding_problem", "copy_memory"])
def test_loaders(generator):
    module = SyntheticDataModule(generator, context_length=30, **SIZES)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert all(len(tensor) == 16 for tensor in batch.values())
    assert len(module.dataset("val")) == 40
    assert ("label" in batch) == module.has_labels
    (first, _) = module.predict_dataloader()
    assert "label" not in first and "future_target" not in first
    assert first["series_index"].tolist() == list(range(340, 356))
    again = SyntheticDataModule(generator, context_length=30, **SIZES)
    assert np.array_equal(again.drawn.target, module.drawn.target)
    values, observed = module.training_target()
    assert len(values) == 300 * module.drawn.target.shape[1] and observed.all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prediction_length": 5}, "prediction_length: .*'waveforms' have labels and no future"),
        ({"trend": 1.0}, "trend: the series"),
        ({"seasons": [7]}, "seasons: the series"),
    ],
)
def test_series_with_labels_have_no_future(arguments, message):
    with pytest.raises(DataError, match=message):
        SyntheticDataModule("waveforms", **arguments)


@pytest.mark.parametrize(("generator", "length"), [("adding_problem", 1), ("copy_memory", 20)])
def test_too_short(generator, length):
    with pytest.raises(DataError, match=f"context_length: .*got {length}"):
        SyntheticDataModule(generator, context_length=length).setup("fit")
