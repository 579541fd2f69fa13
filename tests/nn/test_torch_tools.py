"""What is done with layers of torch.nn, done with these: tracing, torch.func, calls that old loops make."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from seqlight.nn import GRU, LSTM, RNN, TCN, CausalConv1d, SequenceBatchNorm, WaveNet

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: LSTM(3, 5, 2, peephole=True, layer_norm=True),
    "gru": lambda: GRU(3, 5, bidirectional=True),
    "rnn": lambda: RNN(3, 5),
    "convolution": lambda: CausalConv1d(3, 4, 2, dilation=2),
    "tcn": lambda: TCN(3, 4, num_blocks=1),
    "wavenet": lambda: WaveNet(3, 2, hidden_size=4, num_blocks=1, layers_per_block=2),
}
# torch.jit is deprecated, and still met.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning"
)


@pytest.mark.parametrize("name", LAYERS)
def test_traced_in_grad_mode_saved_and_loaded(name: str) -> None:
    layer = LAYERS[name]().eval()
    traced = torch.jit.trace(layer, (torch.randn(3, 12, 3),))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    x = torch.randn(3, 12, 3)
    torch.testing.assert_close(torch.jit.load(file)(x)[0], layer(x)[0])


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_gradients_per_sample_of_padded_sequences(layer_class: type[nn.Module]) -> None:
    layer = layer_class(3, 5, dtype=torch.float64)
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor, length: Tensor) -> Tensor:
        return functional_call(layer, parameters, (x[None], None, length[None]))[0].square().sum()

    x, lengths = torch.randn(4, 10, 3, dtype=torch.float64), torch.tensor([10, 3, 7, 1])
    together = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, lengths)
    for row in range(4):
        alone = grad(loss)(parameters, x[row], lengths[row])
        torch.testing.assert_close({name: value[row] for name, value in together.items()}, alone)


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_what_loops_for_torch_layers_call(layer_class: type[nn.Module]) -> None:
    layer = layer_class(3, 5)
    layer.flatten_parameters()
    assert layer.batch_first


@pytest.mark.parametrize("make", [*LAYERS.values(), lambda: SequenceBatchNorm(3)])
def test_an_array_is_no_tensor(make: Callable[[], nn.Module]) -> None:
    """The message says what makes one of it, and that works."""
    layer, array = make(), torch.randn(2, 8, 3).numpy()
    with pytest.raises(TypeError, match=r"x expected a .*got ndarray; pass torch.from_numpy\(array\)$"):
        layer(array)
    layer(torch.from_numpy(array))
