"""Pictures that explain networks: what they draw is what the network does."""

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection, QuadMesh

from seqlight import nn, plot
from seqlight.plot.dependence import derivative_sizes


def texts(figure: object) -> list[str]:
    axes = figure.axes  # type: ignore[attr-defined]
    found = [text.get_text() for ax in axes for text in [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]]
    return found + [text.get_text() for text in figure.texts]  # type: ignore[attr-defined]


def test_derivatives_of_known_functions() -> None:
    x = torch.randn(6, 2)
    weight = torch.tensor([[3.0, 4.0]])
    sizes = derivative_sizes(lambda x: x @ weight.T, x)
    np.testing.assert_allclose(sizes, 5.0 * np.eye(6))
    sizes = derivative_sizes(lambda x: (x.cumsum(1), None), x)
    np.testing.assert_allclose(sizes, np.sqrt(2) * np.tril(np.ones((6, 6))), rtol=1e-6)


def test_derivatives_show_strides_and_receptive_fields() -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(1, 3, 4, stride=2)
    sizes = derivative_sizes(lambda x: convolution(x.transpose(1, 2)).transpose(1, 2), torch.randn(10, 1))
    expected = np.zeros((4, 10), dtype=bool)
    for output in range(4):
        expected[output, 2 * output : 2 * output + 4] = True
    np.testing.assert_array_equal(sizes > 0, expected)
    wavenet = nn.WaveNet(1, 3, num_blocks=1, layers_per_block=2)
    sizes = derivative_sizes(wavenet, torch.randn(12, 1))
    steps = np.arange(12)
    behind = steps[:, None] - steps[None]
    np.testing.assert_array_equal(sizes > 0, (behind >= 0) & (behind < wavenet.receptive_field))


def test_dependence() -> None:
    figure = plot.dependence({"a": torch.nn.Linear(1, 2), "b": nn.GRU(1, 3)}, torch.randn(5, 1), title="who")
    meshes = [item for ax in figure.axes[:2] for item in ax.collections if isinstance(item, QuadMesh)]
    shown = [np.ma.filled(mesh.get_array(), 0.0) > 0 for mesh in meshes]
    np.testing.assert_array_equal(shown[0], np.eye(5, dtype=bool))
    np.testing.assert_array_equal(shown[1], np.tril(np.ones((5, 5), dtype=bool)))
    assert {"a", "b"} <= set(texts(figure))
    with pytest.raises(ValueError, match=r"x expected one sequence \[T, C\], got \[1, 5, 1\]"):
        plot.dependence({"a": torch.nn.Identity()}, torch.randn(1, 5, 1))
    with pytest.raises(ValueError, match="at least one"):
        plot.dependence({}, torch.randn(5, 1))
    with pytest.raises(ValueError, match=r"expected to return \[B, T', D\], got \[1, 5\]"):
        plot.dependence({"a": lambda x: x.squeeze(2)}, torch.randn(5, 1))


def test_unrolled_names_every_state_once() -> None:
    drawn = texts(plot.unrolled(nn.LSTM(1, 7, 2), steps=3))
    for state in ("h", "c"):
        for layer in "¹²":
            for step in "₀₁₂₃":
                assert drawn.count(f"{state}{layer}{step}") == 1
    assert [drawn.count(name) for name in ("x₁", "x₃", "y₂", "LSTM")] == [1, 1, 1, 6]
    assert "returned:\nh and c [2, B, 7]" in drawn
    assert texts(plot.unrolled(nn.GRU(1, 7), steps=2)).count("h₂") == 1


def test_unrolled_refuses() -> None:
    with pytest.raises(TypeError, match="RNN, LSTM or GRU, got Linear"):
        plot.unrolled(torch.nn.Linear(1, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one direction"):
        plot.unrolled(nn.GRU(1, 2, bidirectional=True))
    with pytest.raises(ValueError, match="steps expected at least 1, got 0"):
        plot.unrolled(nn.GRU(1, 2), steps=0)


@pytest.mark.parametrize(("steps", "kernel_size", "stride"), [(20, 4, 2), (21, 4, 2), (9, 3, 3), (5, 5, 1)])
def test_strided_convolution_draws_what_the_forecaster_does(
    steps: int, kernel_size: int, stride: int
) -> None:
    from seqlight.models.forecasting.convolution_in_front import ConvolutionInFront

    network = ConvolutionInFront(torch.nn.Conv1d(1, 1, kernel_size, stride), nn.GRU(1, 1))
    (ax,) = plot.strided_convolution(steps, kernel_size=kernel_size, stride=stride).axes
    inputs, outputs = (item for item in ax.collections if isinstance(item, PathCollection))
    assert len(inputs.get_offsets()) == steps
    expected = [step + 1 for step in network.output_steps(steps)]
    np.testing.assert_array_equal(np.asarray(outputs.get_offsets())[:, 0], expected)
    lines = [item for item in ax.collections if isinstance(item, LineCollection)]
    assert sum(len(item.get_segments()) for item in lines) == kernel_size * len(expected)


def test_strided_convolution_refuses() -> None:
    with pytest.raises(ValueError, match="stride expected at least 1, got 0"):
        plot.strided_convolution(9, kernel_size=2, stride=0)
    with pytest.raises(ValueError, match="steps expected at least kernel_size = 4, got 3"):
        plot.strided_convolution(3, kernel_size=4, stride=1)


@pytest.mark.parametrize(("layer", "panels"), [(nn.LSTM(2, 4, peephole=True), 4), (nn.GRU(2, 4), 3)])
def test_gates(layer: nn.LSTM | nn.GRU, panels: int) -> None:
    x = torch.randn(9, 2)
    figure = plot.gates(
        layer, x, values=np.arange(9.0), time=np.arange("2024-01-01", "2024-01-10", dtype="M8[D]")
    )
    meshes = [
        item
        for ax in figure.axes
        for item in ax.collections
        if isinstance(item, QuadMesh) and item.get_array().size == 36
    ]
    assert len(meshes) == panels
    gates = nn.gate_activations(layer, x[None])
    memory = gates["forget_gate" if "forget_gate" in gates else "update_gate"][0].numpy()
    order = memory.mean(axis=0).argsort()
    np.testing.assert_allclose(np.asarray(meshes[0].get_array()).reshape(4, 9), memory.T[order], rtol=1e-6)
    with pytest.raises(ValueError, match="time expected T = 9 steps like x, got 8"):
        plot.gates(layer, x, time=np.arange(8))
    with pytest.raises(ValueError, match=r"x expected one sequence \[T, C\]"):
        plot.gates(layer, x[None])


def test_lines() -> None:
    figure = plot.lines(
        {"one": {"a": [1.0, 2.0, 3.0]}, "two": {"b": torch.ones(3), "c": np.ones(3)}}, first_step=1
    )
    assert [len(ax.lines) for ax in figure.axes] == [1, 2]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [1, 2, 3])
    with pytest.raises(ValueError, match="at least one"):
        plot.lines({})
    with pytest.raises(ValueError, match=r"'a' expected \[T\], got \[1, 2\]"):
        plot.lines({"one": {"a": [[1.0, 2.0]]}})
