"""The causal convolution in plain PyTorch: the fallback where no kernel runs, and the oracle of the kernel's
tests.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv1d


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    groups: int = 1,
    state: Tensor | None = None,
    activation: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Convolve; shapes, equations and semantics of :func:`seqlight.ops.causal_conv1d`.

    Tensors of one floating-point dtype, on any device, without argument checks; differentiable any number of
    times in reverse and forward mode.
    """
    length = (weight.shape[2] - 1) * dilation
    if state is None:
        state = x.new_zeros(x.shape[0], length, x.shape[2])
    padded = torch.cat([state, x], dim=1)
    new_state = padded[:, padded.shape[1] - length :]
    if x.shape[1] == 0:
        channels = weight.shape[0] // 2 if activation == "gate" else weight.shape[0]
        return x.new_zeros(x.shape[0], 0, channels), new_state
    output = conv1d(padded.transpose(1, 2), weight, bias, dilation=dilation, groups=groups).transpose(1, 2)
    if activation == "relu":
        output = output.relu()
    elif activation == "gate":
        filtered, gate = output.chunk(2, dim=2)
        output = filtered.tanh() * gate.sigmoid()
    return output, new_state
