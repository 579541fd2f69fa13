"""Imputers: what they see, how they begin, training, checkpoints, whole series."""

import numpy as np
import pytest
import torch
from lightning import Callback
from torch.nn.functional import l1_loss

import seqlight
from seqlight.data import SyntheticImputationDataModule
from seqlight.models import (
    ConvImputer,
    Imputer,
    LastValueImputer,
    LinearInterpolationImputer,
    RNNImputer,
)

SMALL = {
    RNNImputer: {"hidden_size": 8},
    ConvImputer: {"hidden_size": 8, "num_blocks": 2},
}
# torch's own call of an autograd.Function while it traces.
TRACING = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

networks = pytest.mark.parametrize("cls", [RNNImputer, ConvImputer])


def make(cls, **kwargs):
    torch.manual_seed(0)
    return cls(**(SMALL[cls] | kwargs))


def stirred(model):
    """The imputer with no parameter at its first value, where much is zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.rand_like(parameter))
    return model


def window(channels=2, covariates=0, rows=20, missing=0.4, dtype=torch.float32):
    random = torch.Generator().manual_seed(3)
    target = 50 + 10 * torch.randn(3, rows, channels, generator=random, dtype=dtype)
    target = target.masked_fill(torch.rand(target.shape, generator=random) < missing, torch.nan)
    inputs = {"target": target, "time_gap": 0.5 + torch.rand(3, rows, generator=random)}
    if covariates:
        inputs["covariates"] = torch.randn(3, rows, covariates, generator=random)
    return inputs


def data(**kwargs):
    sizes = {"n_series": 64, "series_length": 48, "seasons": [12], "batch_size": 16, "seed": 1}
    return SyntheticImputationDataModule(**(sizes | kwargs))


@networks
@pytest.mark.parametrize("covariates", [0, 2])
def test_known_cells_come_back_to_the_last_bit(cls, covariates):
    model = stirred(make(cls, target_size=2, covariate_size=covariates)).eval()
    inputs = window(covariates=covariates)
    filled = model(**inputs)
    known = ~inputs["target"].isnan()
    assert torch.equal(filled[known], inputs["target"][known])
    assert filled.isfinite().all()
    observed = known & (torch.arange(20)[:, None] % 3 > 0)  # a mask may hide more
    again = model(**inputs, observed=observed)
    assert torch.equal(again[observed], inputs["target"][observed])
    assert not torch.equal(again[known], inputs["target"][known])
    hidden = model(**(inputs | {"target": inputs["target"].masked_fill(~observed, 1e6)}), observed=observed)
    assert torch.equal(hidden, again)  # what is hidden is not looked at


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_no_estimate_of_the_recurrent_network_sees_its_own_cell(cell):
    model = stirred(make(RNNImputer, target_size=2, cell=cell, num_layers=2, transform="none")).double()
    inputs = window(dtype=torch.float64)
    observed = ~inputs["target"].isnan()
    times = inputs["time_gap"].double().cumsum(1)

    def estimates(values):
        estimate, directions = model.network(values, observed, times)
        return torch.stack([estimate, *directions])

    values = inputs["target"][:1].nan_to_num(0.0)
    observed, times = observed[:1], times[:1]
    jacobian = torch.autograd.functional.jacobian(estimates, values)[:, 0, :, :, 0]  # [3, T, C, T, C]
    at = torch.arange(20)
    for channel in range(2):
        assert jacobian[:, at, channel, at, channel].abs().max() == 0
    assert jacobian[0, at, 0, at, 1].abs().max() > 0  # the other channel's cell of the same row is used
    assert jacobian[1, 5, :, 6:].abs().max() == 0  # forwards: nothing from later
    assert jacobian[2, 5, :, :5].abs().max() == 0
    assert (jacobian[1, 10, :, :10].abs().sum() > 0) and (jacobian[2, 10, :, 11:].abs().sum() > 0)


@networks
def test_an_untrained_imputer_is_linear_interpolation(cls):
    inputs = window(rows=24)
    model = make(cls, target_size=2, transform="instance").eval()
    line = LinearInterpolationImputer(target_size=2)(**inputs)
    # The recurrent one's decays are small, not nothing, so that they can learn.
    torch.testing.assert_close(model(**inputs), line, rtol=0, atol=0.02 if cls is ConvImputer else 1.5)


@pytest.mark.parametrize("rows", [7, 20])
def test_baselines(rows):
    target = torch.full((1, rows, 1), torch.nan)
    target[0, 2], target[0, 5] = 10.0, 40.0
    gaps = torch.ones(1, rows)
    gaps[0, 4] = 4.0  # times 0 1 2 3 7 8 9 ...
    line = LinearInterpolationImputer()(target, time_gap=gaps)[0, :, 0]
    expected = [10, 10, 10, 15, 35, *[40] * (rows - 5)]
    torch.testing.assert_close(line, torch.tensor(expected, dtype=torch.float32))
    last = LastValueImputer()(target, time_gap=gaps)[0, :, 0]
    assert last.tolist() == [10, 10, 10, 10, 10, *[40] * (rows - 5)]
    assert LastValueImputer()(torch.full((1, 3, 1), torch.nan)).isnan().all()


@networks
def test_learns_a_season_better_than_the_baselines(cls, trainer):
    series = data(n_series=128, season_amplitude=3.0)
    learning = {RNNImputer: 2e-2, ConvImputer: 5e-3}[cls]
    model = make(cls, hidden_size=24, lr=learning, lr_schedule="one_cycle", longest_gap=16)
    trainer(max_epochs=8, limit_val_batches=0, gradient_clip_val=1.0).fit(model, series)

    def mae(imputer):
        running = trainer()
        running.test(imputer, series, verbose=False)
        return running.callback_metrics["test_mae"].item()

    best = min(mae(LinearInterpolationImputer()), mae(LastValueImputer()))
    assert mae(model) < 0.7 * best


def test_metrics_are_those_of_the_held_out_cells(trainer):
    series = data(missing=0.1)
    running = trainer()
    (logged,) = running.validate(LinearInterpolationImputer(), series, verbose=False)
    held_out = series.held_out("val")
    true = torch.from_numpy(series.store.values[held_out])
    filled = seqlight.evaluation.fill(LinearInterpolationImputer(), series, hide_held_out=True)
    error = torch.from_numpy(filled[held_out]) - true
    assert logged["val_mae"] == pytest.approx(error.abs().mean().item(), rel=1e-5)
    assert logged["val_rmse"] == pytest.approx(error.square().mean().sqrt().item(), rel=1e-5)
    assert logged["val_mre"] == pytest.approx((error.abs().sum() / true.abs().sum()).item(), rel=1e-5)
    assert logged["val_loss"] == pytest.approx(logged["val_mae"], rel=1e-5)  # transform none, loss mae


def test_the_training_loss_is_the_sum_that_the_class_promises(trainer, monkeypatch):
    model = stirred(make(RNNImputer, transform="none", reconstruction_weight=0.5, consistency_weight=0.2))
    trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(model, data())  # attaches a Trainer
    batch = next(iter(data().train_dataloader()))
    target = batch["target"]
    hidden = batch["observed"] & (torch.arange(48)[:, None] % 5 == 0)
    monkeypatch.setattr("seqlight.models.imputation.imputer.hide_cells", lambda known, **kwargs: hidden)
    monkeypatch.setattr(model, "log", lambda *args, **kwargs: None)
    seen = batch["observed"] & ~hidden
    estimate, (first, second) = model.network(
        target.nan_to_num(0.0) * seen, seen, torch.arange(48.0).expand(16, -1)
    )
    known = batch["observed"]
    shown = [l1_loss(estimate[seen], target[seen])]
    shown += [l1_loss(direction[known], target[known]) for direction in (first, second)]
    expected = l1_loss(estimate[hidden], target[hidden]) + 0.5 * sum(shown) / 3
    expected = expected + 0.2 * (first - second).abs().mean()
    torch.testing.assert_close(model.training_step(batch, 0), expected)


@networks
@pytest.mark.parametrize("transform", ["instance", "standard"])
def test_scale_and_level_do_not_matter(cls, transform):
    inputs = window()
    model = stirred(make(cls, target_size=2, transform=transform)).eval()

    def filled(target):
        if transform == "standard":
            model.transform.fit(target)
        return model(target, time_gap=inputs["time_gap"])

    target = inputs["target"]
    torch.testing.assert_close(filled(target) * 8 + 100, filled(target * 8 + 100), rtol=1e-3, atol=1e-1)


@networks
def test_time_gaps_matter(cls):
    model = stirred(make(cls, target_size=2)).eval()
    inputs = window()
    other = inputs["time_gap"].flip(1)
    assert not torch.allclose(model(**inputs), model(inputs["target"], time_gap=other))
    torch.testing.assert_close(model(inputs["target"]), model(inputs["target"], time_gap=torch.ones(3, 20)))


@networks
def test_a_whole_series_is_filled_in_windows_without_seams(cls):
    target = window(rows=100)["target"][0]
    whole = stirred(make(cls, target_size=2)).eval()
    windows = stirred(make(cls, target_size=2, window_length=30)).eval()
    torch.testing.assert_close(whole.impute(target), whole(target[None])[0])
    filled = windows.impute(target, batch_size=2)
    known = ~target.isnan()
    assert torch.equal(filled[known], target[known])
    torch.testing.assert_close(windows.impute(target[:30]), windows(target[None, :30])[0])
    # Row 10 lies in the first window and none of the others.
    torch.testing.assert_close(filled[10], windows(target[None, :30])[0, 10])
    # Row 22 is 7 rows into the second window (15) and 7 from the end of the first: half of each.
    both = windows(target[None, :30])[0, 22] + windows(target[None, 15:45])[0, 7]
    torch.testing.assert_close(filled[22], both / 2)


class SaveAfterEpoch(Callback):
    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            trainer.save_checkpoint(self.path)


@networks
def test_resumed_run_is_the_uninterrupted_one(cls, trainer, tmp_path):
    def fit(seed, callbacks, **kwargs):
        torch.manual_seed(seed)
        model = cls(**SMALL[cls], dropout=0.2, lr=1e-2, lr_schedule="one_cycle")
        trainer(max_epochs=3, callbacks=callbacks).fit(model, data(), **kwargs)
        return model.state_dict()

    whole = fit(1, [SaveAfterEpoch(tmp_path / "half.ckpt")])
    resumed = fit(2, [], ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    loaded = seqlight.load(tmp_path / "half.ckpt")
    assert type(loaded) is cls
    assert loaded.hparams["dropout"] == 0.2
    assert loaded.transform.fitted
    assert loaded(window(channels=1)["target"]).isfinite().all()
    with pytest.raises(TypeError, match="unexpected keyword"):
        cls(**SMALL[cls], depth=3)


@pytest.mark.parametrize("cls", [LinearInterpolationImputer, LastValueImputer])
def test_baselines_run_through_every_part_of_the_trainer(cls, trainer, tmp_path):
    model = cls()
    running = trainer(max_epochs=3)
    running.fit(model, data())
    running.save_checkpoint(tmp_path / "line.ckpt")
    assert isinstance(seqlight.load(tmp_path / "line.ckpt"), cls)
    filled = running.predict(model, data())
    assert sum(len(batch["prediction"]) for batch in filled) == 64
    assert all(batch["prediction"].isfinite().all() for batch in filled)


@networks
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_precisions(cls, trainer, precision):
    model = make(cls)
    running = trainer(max_epochs=1, limit_train_batches=2, precision=precision)
    running.fit(model, data(n_series=32))
    target = window(channels=1)["target"]
    filled = model(target)
    assert torch.equal(filled[~target.isnan()], target[~target.isnan()])
    assert filled.isfinite().all()


@TRACING
@networks
def test_compiled_and_exported(cls):
    model = stirred(make(cls, target_size=2, covariate_size=1, window_length=20)).eval()
    inputs = window(covariates=1)
    with torch.no_grad():
        expected = model(**inputs)
        compiled = torch.compile(model.network, fullgraph=True, backend="aot_eager")
        plain, model.network = model.network, compiled
        torch.testing.assert_close(model(**inputs), expected)
        model.network = plain
    example = model.example_inputs(2)
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in example}
    exported = torch.export.export(model, (), kwargs=example, dynamic_shapes=shapes)
    torch.testing.assert_close(exported.module()(**inputs), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Imputer(), NotImplementedError, "Imputer has no network: override build_network"),
        (lambda: RNNImputer(cell="lst"), ValueError, "cell: expected one of .* Did you mean 'lstm'"),
        (lambda: RNNImputer(hidden_size=0), ValueError, "hidden_size: expected at least 1"),
        (lambda: RNNImputer(hide_fraction=1.0), ValueError, "hide_fraction: expected at least 0"),
        (lambda: RNNImputer(longest_gap=0), ValueError, "longest_gap: expected at least 1"),
        (lambda: RNNImputer(window_length=0), ValueError, "window_length: expected at least 1"),
        (lambda: RNNImputer(transform="lag"), ValueError, "transform: "),
        (lambda: RNNImputer(transform="difference(1)"), ValueError, "takes cells from one another"),
        (lambda: RNNImputer(optimizer="adm"), ValueError, "Did you mean 'adam'"),
        (lambda: ConvImputer(kernel_size=4), ValueError, "kernel_size: expected an odd number"),
        (lambda: RNNImputer()(torch.zeros(2, 5)), ValueError, r"target: expected shape \[B, T, C\]"),
        (lambda: RNNImputer()(torch.zeros(2, 5, 2)), ValueError, r"= \[B, T, 1\], got \[2, 5, 2\]"),
        (
            lambda: RNNImputer()(torch.zeros(2, 5, 1), time_gap=torch.ones(2, 4)),
            ValueError,
            "time_gap: expected shape",
        ),
        (
            lambda: RNNImputer(covariate_size=2)(torch.zeros(2, 5, 1)),
            ValueError,
            "covariates: needed, for covariate_size is 2",
        ),
        (lambda: RNNImputer().impute(torch.zeros(2, 5, 1)), ValueError, r"target: expected shape \[N, C\]"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_batches_of_a_forecaster_are_refused(trainer):
    frame_like = {"past_target": torch.zeros(2, 5, 1)}
    with pytest.raises(ValueError, match="batch: missing target; it has past_target"):
        RNNImputer().training_step(frame_like, 0)


def test_the_transform_is_fitted_without_held_out_cells(trainer):
    series = data(missing=0.1)
    model = make(RNNImputer, transform="standard")
    trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(model, series)
    shown = np.where(series.hidden, np.nan, series.store.values)
    assert model.transform.mean.item() == pytest.approx(np.nanmean(shown), rel=1e-4)
    assert model.transform.scale.item() == pytest.approx(np.nanstd(shown), rel=1e-4)


def test_a_composition_of_transforms():
    """The logarithm keeps estimates positive, whatever the network says."""
    target = window()["target"].abs().exp().clamp(1e-3, 1e3)
    model = make(RNNImputer, target_size=2, transform="log + standard")
    model.transform.fit(target)
    with torch.no_grad():
        model.network.forwards.output.bias.fill_(-20.0)
        model.network.backwards.output.bias.fill_(-20.0)
    filled = model(target)
    known = ~target.isnan()
    assert torch.equal(filled[known], target[known])
    assert (filled > 0).all()
