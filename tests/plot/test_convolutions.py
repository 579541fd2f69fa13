"""The plots of convolutional models show the model's own dilations, receptive field and responses."""

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import nn

from seqlight.models import ConvGRUForecaster, LSTMForecaster, TCNForecaster, WaveNetForecaster
from seqlight.nn import TCN, CausalConv1d, WaveNet
from seqlight.plot import layer_responses, receptive_field
from seqlight.plot.convolutions import find_convolutions
from seqlight.plot.receptive_fields import IDLE_COLOUR
from seqlight.plot.responses import arrange

SIZES = {"context_length": 24, "prediction_length": 4}
MODELS = {
    "gated WaveNet": WaveNet(2, 1, hidden_size=4, num_blocks=2, layers_per_block=3),
    "simple WaveNet": WaveNet(2, 1, hidden_size=4, gated=False, kernel_size=3, num_blocks=1),
    "TCN": TCN(2, 4, num_blocks=3),
    "one layer": CausalConv1d(2, 3, 4, dilation=2),
    "stack": [CausalConv1d(2, 3, 2), CausalConv1d(3, 3, 3, dilation=4)],
    "forecaster": WaveNetForecaster(hidden_size=4, gated=False, **SIZES),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for owner in (figure, *figure.axes) for text in owner.texts]


@pytest.mark.parametrize("name", MODELS)
def test_tree_reaches_exactly_the_inputs_that_move_the_output(name, tmp_path):
    model = MODELS[name]
    layers = find_convolutions(model)
    figure = receptive_field(model)
    (ax,) = figure.axes
    edges = [collection for collection in ax.collections if isinstance(collection, LineCollection)]
    used = [e.get_segments() for e in edges if to_hex(e.get_color()[0]) != IDLE_COLOUR]
    bottom = next(segments for segments in used if segments[0][0][1] == 0)
    reached = {int(-segment[0][0]) for segment in bottom}

    class Chain(nn.Module):
        """The convolutions with weights of 1: an input moves the output if a path of taps leads there."""

        def forward(self, x):
            for layer in layers:
                weight = torch.ones(1, 1, layer.module.kernel_size)
                x, _ = CausalConv1d.forward(ones(layer.module.dilation, weight), x)
            return x

    def ones(dilation, weight):
        conv = CausalConv1d(1, 1, weight.shape[2], dilation, bias=False)
        conv.weight = nn.Parameter(weight)
        return conv

    x = torch.zeros(1, layers[-1].field + 3, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(Chain()(x)[0, -1, 0], x)
    moved = set((gradient[0, :, 0].flip(0) > 0).nonzero().flatten().tolist())
    assert reached == moved
    assert max(moved) == layers[-1].field - 1
    figure.savefig(tmp_path / "tree.png")


def test_labels_tell_dilations_and_fields():
    figure = receptive_field(MODELS["gated WaveNet"])
    written = texts(figure)
    assert "WaveNet: receptive field of 16 time steps" in written
    assert [text for text in written if text.startswith("dilation")] == [
        f"dilation {d}" for d in (1, 1, 2, 4, 1, 2, 4)
    ]
    assert [text for text in written if text.startswith("sees")] == [
        f"sees {n}" for n in (2, 3, 5, 9, 10, 12, 16)
    ]


def test_large_fields_become_bars(tmp_path):
    net = WaveNet(1, 1, hidden_size=2, num_blocks=3, layers_per_block=10)
    figure = receptive_field(net)
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and len(ax.patches) == 2 * 31
    assert {round(bar.get_x() + bar.get_width()) for bar in ax.patches} >= {
        2,
        3,
        5,
        1025,
        net.receptive_field,
    }
    assert "sees 3,071" in texts(figure)
    figure.savefig(tmp_path / "bars.png")
    assert "mine" in texts(receptive_field(MODELS["TCN"], form="bars", title="mine"))


@pytest.mark.parametrize(
    ("context", "share", "form"),
    [(168, "the last 61 of the 168", "tree"), (24, "all of the 24", "bars"), (500, "the last 61 of", "bars")],
)
def test_a_forecasters_context_is_told(context, share, form):
    model = TCNForecaster(context_length=context, prediction_length=4, hidden_size=4)
    written = texts(receptive_field(model, form=form))
    assert any(f"depends on {share}" in text for text in written)
    assert (f"context {context}" in written) == (form == "bars")


def test_models_without_a_receptive_field_are_refused():
    recurrent = "expected causal convolutions alone, got a "
    for model, kind, message in (
        (ConvGRUForecaster(**SIZES), ValueError, recurrent + "GRU"),
        (LSTMForecaster(**SIZES), ValueError, recurrent + "LSTM"),
        (nn.LSTM(1, 2), ValueError, recurrent + "LSTM"),
        (nn.Linear(1, 2), ValueError, "got Linear without any"),
        ([], ValueError, "got ModuleList without any"),
        (3, TypeError, "got int"),
        ([nn.Linear(1, 1), 3], TypeError, "got list"),
    ):
        with pytest.raises(kind, match=message):
            receptive_field(model)
    with pytest.raises(ValueError, match="form expected 'auto', 'tree' or 'bars', got 'tre'"):
        receptive_field(MODELS["TCN"], form="tre")

    class Branches(nn.Module):
        receptive_field = 2

        def __init__(self):
            super().__init__()
            self.both = nn.ModuleList([CausalConv1d(1, 1, 2), CausalConv1d(1, 1, 2)])

    with pytest.raises(ValueError, match=r"one after the other.* see 3 steps; Branches has the .* field 2"):
        receptive_field(Branches())


@pytest.mark.parametrize("name", ["gated WaveNet", "simple WaveNet", "TCN", "one layer"])
def test_a_heat_map_for_each_layer_the_highest_first(name, tmp_path):
    model = MODELS[name].train()
    series = torch.randn(40, 2)
    figure = layer_responses(model, series)
    assert model.training
    layers = find_convolutions(model)
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "input",
        *(f"layer {number}" for number in range(len(layers), 0, -1)),
    ]
    lowest = figure.axes[-1].images[0].get_array()
    first = layers[0].module(series[None], activation="relu" if name in ("simple WaveNet", "TCN") else None)[
        0
    ]
    np.testing.assert_allclose(lowest, arrange(first[0].detach().double().numpy(), 16), atol=1e-4)
    np.testing.assert_allclose(lowest.mean(axis=1), 0, atol=1e-6)
    figure.savefig(tmp_path / "responses.png")


def test_gated_layers_are_shown_by_their_skip_connections():
    net = WaveNet(1, 1, hidden_size=4, num_blocks=1, layers_per_block=2)
    series = torch.randn(30)
    h, _ = net.input_layer(series[None, :, None])
    h, _, _ = net.layers[0](h, None)
    _, skip, _ = net.layers[1](h, None)
    shown = layer_responses(net, series).axes[1].images[0].get_array()
    np.testing.assert_allclose(shown, arrange(skip[0].detach().double().numpy(), 16), atol=1e-3)


def test_responses_of_a_forecaster_to_raw_values(tmp_path):
    model = WaveNetForecaster(
        hidden_size=4,
        num_blocks=1,
        strategy="recursive",
        future_covariate_size=2,
        observed_indicator=True,
        **SIZES,
    )
    past = np.random.default_rng(0).normal(100, 10, (24, 1))
    past[5] = np.nan
    covariates = {
        "historic_future_covariates": torch.randn(1, 24, 2),
        "future_covariates": torch.randn(1, 4, 2),
    }
    figure = layer_responses(model, past, max_layers=2, title="mine", **covariates)
    assert [ax.get_ylabel() for ax in figure.axes] == ["input", "layer 5", "layer 1"]
    assert all(ax.images[0].get_array().shape == (4, 24) for ax in figure.axes[1:])
    assert any(text.startswith("2 of 5 layers") for text in texts(figure))
    figure.savefig(tmp_path / "responses.png")


def test_channels_that_never_change_are_left_out():
    response = np.zeros((20, 5))
    response[:, 1] = np.sin(np.arange(20))
    response[:, 3] = 7 + np.cos(np.arange(20))
    assert arrange(response, 16).shape == (2, 20)
    assert arrange(np.zeros((20, 5)), 16).shape == (0, 20)
    assert arrange(np.random.default_rng(0).normal(size=(20, 50)), 16).shape == (16, 20)
    dead = CausalConv1d(1, 2, 2)
    nn.init.zeros_(dead.weight)
    assert "no channel changes" in texts(layer_responses(dead, torch.randn(9)))


def test_wrong_series_are_named():
    net = MODELS["TCN"]
    for series, kind, message in (
        ([1.0], TypeError, "series expected a tensor or an array, got list"),
        (torch.zeros(1, 5, 2), ValueError, r"one series \[T\] or \[T, C\] .* got \[1, 5, 2\]"),
        (torch.zeros(0, 2), ValueError, r"at least one step, got \[0, 2\]"),
    ):
        with pytest.raises(kind, match=message):
            layer_responses(net, series)
    with pytest.raises(ValueError, match="max_channels expected at least 1, got 0"):
        layer_responses(net, torch.zeros(5, 2), max_channels=0)
