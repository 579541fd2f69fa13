"""The weighted mean of forecasters, as one module."""

import pytest
import torch

import seqlight
from seqlight import models
from seqlight.models.lightning.series_rows import SeriesRows

SIZES = {"prediction_length": 3, "target_size": 2}


def members():
    torch.manual_seed(0)
    return [
        models.SegmentRNNForecaster(context_length=12, hidden_size=4, segment_length=3, cycle=6, **SIZES),
        models.LinearForecaster(context_length=6, future_covariate_size=1, **SIZES),
        models.SeasonalNaiveForecaster(context_length=9, season_length=4, **SIZES),
    ]


def inputs_of(model, batch=4):
    torch.manual_seed(batch)
    return {
        name: torch.randn_like(value) if value.is_floating_point() else torch.arange(batch) % 3
        for name, value in model.example_inputs(batch).items()
    }


def test_weighted_mean_of_what_each_member_forecasts():
    """Of contexts of three lengths, with what each was built for."""
    parts = members()
    model = models.EnsembleForecaster.of(parts, [0.5, 0.3, 0.2])
    assert model.context_length == 12
    given = inputs_of(model)
    assert given.keys() == {"past_target", "historic_future_covariates", "future_covariates", "phase"}
    past, phase = given["past_target"], given["phase"]
    with torch.no_grad():
        expected = (
            0.5 * parts[0].eval()(past, phase=phase)
            + 0.3
            * parts[1].eval()(
                past[:, -6:], None, given["historic_future_covariates"][:, -6:], given["future_covariates"]
            )
            + 0.2 * parts[2].eval()(past[:, -9:])
        )
        torch.testing.assert_close(model(**given), expected)
        torch.testing.assert_close(model.predict(given).point, expected)
    with pytest.raises(ValueError, match=r"^phase: needed"):
        model(**{name: value for name, value in given.items() if name != "phase"})


def test_an_ensemble_within_an_ensemble_has_its_covariates():
    """As members that see the last steps of a window alone are made."""
    torch.manual_seed(0)
    inner = models.GRUForecaster(
        context_length=6, hidden_size=3, future_covariate_size=1, past_covariate_size=2, **SIZES
    )
    model = models.EnsembleForecaster.of([models.EnsembleForecaster.of([inner], context_length=9)])
    given = inputs_of(model)
    assert model.entries_taken == inner.entries_taken
    over_past = ("past_target", "past_covariates", "historic_future_covariates")
    cut = {name: value[:, -6:] if name in over_past else value for name, value in given.items()}
    assert given.keys() == {*over_past, "future_covariates"}
    torch.testing.assert_close(model.predict(given).point, inner.predict(cut).point)


def test_nothing_is_dropped_in_training_mode():
    sizes = {"context_length": 12, **SIZES}
    model = models.EnsembleForecaster.of([models.GRUForecaster(dropout=0.5, hidden_size=8, **sizes)])
    assert model.training
    past = torch.randn(4, 12, 2)
    assert torch.equal(model(past), model(past)) and model.training


def test_members_are_copies_and_bounds_hold_for_the_mean():
    parts = members()
    model = models.EnsembleForecaster.of(parts, nonnegative=True, integer=True)
    given = inputs_of(model)
    with torch.no_grad():
        before = model(**given)
        for parameter in parts[0].parameters():
            parameter.zero_()
        torch.testing.assert_close(model(**given), before)
    assert (before >= 0).all() and torch.equal(before, before.round())


def test_weights_of_single_series_follow_their_names():
    parts = members()[1:]
    model = models.EnsembleForecaster.of(
        parts, [0.5, 0.5], series_ids=["b", "c"], series_weights=[[1.0, 0.0], [0.0, 1.0]]
    )
    given = inputs_of(model, 3) | {"series_index": torch.tensor([0, 1, 2])}
    given["past_target"] = given["past_target"][:1].expand(3, -1, -1).clone()
    for name in ("historic_future_covariates", "future_covariates"):
        given[name] = given[name][:1].expand(3, -1, -1).clone()

    def forecast():
        with torch.no_grad():
            return model(**given)

    b, c, other = forecast()  # the third is no series of the model
    torch.testing.assert_close(other, (b + c) / 2)
    model.use_series(["c", "x", "b"])
    found = forecast()
    torch.testing.assert_close(found, torch.stack([c, other, b]))
    with pytest.raises(ValueError, match=r"^series_index: needed"):
        model(**{name: value for name, value in given.items() if name != "series_index"})
    with pytest.raises(ValueError, match=r"^batch: missing series_index"):
        model.predict({name: value for name, value in given.items() if name != "series_index"})


def test_numbers_that_are_no_series_are_none_of_them():
    rows = SeriesRows(["a", "b"])
    assert rows(torch.tensor([0, 1, 2, -1])).tolist() == [0, 1, 2, 2]
    rows.use(["b"])
    assert rows(torch.tensor([0, 1, 7])).tolist() == [1, 2, 2]
    with pytest.raises(ValueError, match="each name once"):
        SeriesRows(["a", "a"])


def test_a_member_without_a_known_value_leaves_its_weight_to_the_others():
    parts = members()
    model = models.EnsembleForecaster.of([parts[0], parts[2]], [0.5, 0.5])
    given = inputs_of(model)
    given["past_target"][0, 3:, 0] = torch.nan  # the seasonal forecast sees the last nine steps
    with torch.no_grad():
        alone = parts[0].eval()(**given)
        both = model(**given)
        assert torch.allclose(both[0, :, 0], alone[0, :, 0]) and both.isfinite().all()
        given["past_target"][0, :, 0] = torch.nan
        assert model(**given)[0, :, 0].isnan().all()


def test_checkpoint_holds_the_members(tmp_path, trainer, loader):
    torch.manual_seed(0)
    sizes = {"context_length": 24, "prediction_length": 6}
    parts = [models.LinearForecaster(**sizes), models.GRUForecaster(hidden_size=3, **sizes)]
    model = models.EnsembleForecaster.of(parts, [0.25, 0.75])
    running = trainer()
    windows = loader(8)
    before = running.predict(model, windows)
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded) is models.EnsembleForecaster
    after = trainer().predict(loaded, windows)
    assert torch.equal(before[0]["prediction"], after[0]["prediction"])
    (logged,) = trainer().validate(loaded, windows, verbose=False)
    assert logged["val_mae"] > 0 and logged["val_mase"] > 0


def test_it_was_trained_until_the_last_of_its_members_was():
    parts = members()
    assert models.EnsembleForecaster.of(parts).trained_until is None
    parts[0].trained_until, parts[1].trained_until = {"a": 5, "b": 7}, {"a": 9}
    assert models.EnsembleForecaster.of(parts).trained_until == {"a": 9, "b": 7}


def test_errors():
    one = {"class": "NaiveForecaster", "arguments": {"context_length": 4, "prediction_length": 2}}
    sizes = {"context_length": 4, "prediction_length": 2}
    make = models.EnsembleForecaster
    with pytest.raises(ValueError, match=r"^members: expected at least one"):
        make(members=[], **sizes)
    with pytest.raises(TypeError, match=r"^members\[0\]: expected a dict with 'class'"):
        make(members=["NaiveForecaster"], **sizes)
    with pytest.raises(
        TypeError, match=r"^members\[0\]: expected the name of a forecaster, got 'LastValueImputer'"
    ):
        make(members=[{"class": "LastValueImputer", "arguments": {}}], **sizes)
    with pytest.raises(ValueError, match=r"^members\[1\]: expected prediction_length = 2, got 3"):
        make(members=[one, {**one, "arguments": {"context_length": 4, "prediction_length": 3}}], **sizes)
    with pytest.raises(ValueError, match=r"^members\[0\]: expected a context_length of at most 3"):
        make(members=[one], context_length=3, prediction_length=2)
    with pytest.raises(ValueError, match=r"^weights: expected 1, one for each member, got 2"):
        make(members=[one], weights=[0.5, 0.5], **sizes)
    with pytest.raises(ValueError, match=r"^weights: expected numbers of at least 0"):
        make(members=[one, one], weights=[1.5, -0.5], **sizes)
    with pytest.raises(ValueError, match=r"^series_weights: expected one list for each of the 1"):
        make(members=[one], series_ids=["a"], **sizes)


LEVELS = (0.1, 0.5, 0.9)


def members_with_quantiles():
    """Two with quantiles and two with points alone."""
    torch.manual_seed(0)
    sizes = {"context_length": 12, **SIZES}
    parts = [
        models.GRUForecaster(hidden_size=4, head="quantile", quantiles=[0.1, 0.5, 0.9], **sizes),
        models.LinearForecaster(head="student_t", **sizes),
        models.LinearForecaster(**sizes),
        models.NaiveForecaster(context_length=9, **SIZES),
    ]
    return [part.eval() for part in parts]


def test_quantiles_are_averaged_level_by_level_and_points_are_moved_by_the_others_spread():
    parts = members_with_quantiles()
    weights = [0.3, 0.1, 0.4, 0.2]
    model = models.EnsembleForecaster.of(parts, weights)
    batch = {"past_target": torch.randn(5, 12, 2)}
    forecast = model.predict(batch, quantile_levels=LEVELS)
    shorter = {"past_target": batch["past_target"][:, -9:]}
    each = [
        part.predict(batch if part.context_length == 12 else shorter, quantile_levels=LEVELS)
        for part in parts
    ]
    spread = sum(
        weight * (one.quantiles - one.point[..., None]) / 0.4
        for weight, one in zip(weights[:2], each, strict=False)
    )
    expected = sum(
        weight * (one.point[..., None] + spread if one.quantiles is None else one.quantiles)
        for weight, one in zip(weights, each, strict=True)
    )
    torch.testing.assert_close(forecast.quantiles, expected)
    torch.testing.assert_close(forecast.quantiles[..., 1], forecast.point)
    joined = model.joined(batch, each)
    assert torch.equal(joined.point, forecast.point) and torch.equal(joined.quantiles, forecast.quantiles)
    assert joined.quantile_levels == LEVELS
    with pytest.raises(ValueError, match=r"^forecasts: expected 4, one for each member, got 3"):
        model.joined(batch, each[:3])
    assert forecast.quantile_levels == model.quantile_levels == LEVELS
    assert (forecast.quantiles.diff(dim=-1) >= 0).all()
    with pytest.raises(ValueError, match=r"0\.2"):  # the head of the first knows three levels
        model.predict(batch, quantile_levels=(0.2,))
    with pytest.raises(ValueError, match=r"^samples: "):
        model.predict(batch, samples=3)
    assert model.predict(batch).quantiles is None


def test_points_alone_have_no_quantiles():
    model = models.EnsembleForecaster.of(members()[1:])
    assert not model.has_distribution
    assert model.predict(inputs_of(model), quantile_levels=LEVELS).quantiles is None


def test_a_series_whose_weight_is_on_points_alone_has_the_mean_spread():
    parts = members_with_quantiles()
    model = models.EnsembleForecaster.of(
        parts, [0.5, 0.5, 0, 0], series_ids=["a"], series_weights=[[0.0, 0.0, 1.0, 0.0]]
    )
    past = torch.randn(1, 12, 2).expand(2, -1, -1)
    found = model.predict({"past_target": past, "series_index": torch.tensor([0, 1])}, quantile_levels=LEVELS)
    spread = found.quantiles - found.point[..., None]
    torch.testing.assert_close(spread[0], spread[1])
    torch.testing.assert_close(found.point[0], parts[2].predict({"past_target": past[:1]}).point[0])


def test_quantiles_in_batches_checkpoint_and_log(tmp_path, trainer, loader):
    sizes = {"context_length": 24, "prediction_length": 6}
    parts = [models.LinearForecaster(head="normal", **sizes), models.NaiveForecaster(**sizes)]
    model = models.EnsembleForecaster.of(parts, [0.5, 0.5], nonnegative=True)
    running = trainer()
    before = running.predict(model, loader(8))
    assert before[0]["quantiles"].shape == (*before[0]["prediction"].shape, 3)
    assert (before[0]["quantiles"] >= 0).all()
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    after = trainer().predict(seqlight.load(tmp_path / "a.ckpt"), loader(8))
    assert torch.equal(before[0]["quantiles"], after[0]["quantiles"])
    (logged,) = trainer().validate(model, loader(8), verbose=False)
    assert logged["val_wql"] > 0 and logged["val_crps"] > 0


def test_a_member_without_a_form_in_onnx_is_named(tmp_path, statsforecast_stand_in):
    sizes = {"context_length": 12, **SIZES}
    library = models.StatsForecastForecaster(model="AutoETS", **sizes)
    model = models.EnsembleForecaster.of([models.NaiveForecaster(**sizes), library])
    with pytest.raises(ValueError, match=r"^members\[1\]: StatsForecastForecaster: statsforecast fits it"):
        model.to_onnx(tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()
