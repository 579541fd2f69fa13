"""Centred convolution: torch's ``padding="same"`` on the causal kernel."""

import pytest
import torch

from seqlight import ops
from seqlight.nn import CenteredConv1d


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_it_is_torchs_same_padding(backend, kernel_size, dilation):
    layer = CenteredConv1d(3, 4, kernel_size, dilation)
    x = torch.randn(2, 11, 3, requires_grad=True)
    theirs = torch.nn.functional.conv1d(x.mT, layer.weight, layer.bias, dilation=dilation, padding="same").mT
    with ops.use_backend(backend):
        ours, state = layer(x, activation="relu")
    assert state is None
    torch.testing.assert_close(ours, theirs.relu())
    ours_grad, theirs_grad = (torch.autograd.grad(y.square().sum(), x)[0] for y in (ours, theirs.relu()))
    torch.testing.assert_close(ours_grad, theirs_grad, rtol=1e-4, atol=1e-5)


def test_what_it_refuses():
    with pytest.raises(ValueError, match="kernel_size expected an odd number"):
        CenteredConv1d(1, 1, 2)
    layer = CenteredConv1d(1, 1, 3)
    with pytest.raises(ValueError, match="state expected None"):
        layer(torch.zeros(1, 4, 1), torch.zeros(1, 2, 1))
    with pytest.raises(RuntimeError, match="needs the steps to come"):
        layer.step(torch.zeros(1, 1))
