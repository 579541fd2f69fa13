"""The WaveNet layer in plain PyTorch: the fallback where no kernel runs, and the oracle of its tests."""

from torch import Tensor
from torch.nn.functional import linear

from seqlight.ops.causal_conv1d_reference import causal_conv1d


def wavenet_layer(
    h: Tensor,
    state: Tensor | None,
    skip: Tensor | None,
    conv_weight: Tensor,
    conv_bias: Tensor,
    project_weight: Tensor,
    project_bias: Tensor,
    condition: Tensor | None,
    condition_weight: Tensor | None,
    static_term: Tensor | None,
    dilation: int,
    residual: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer; shapes, equations and semantics of :func:`seqlight.ops.wavenet_layer`.

    Tensors of one floating-point dtype, on any device, without argument checks; differentiable any number
    of times in reverse and forward mode. Without `residual` the first result is `h` itself.
    """
    before, new_state = causal_conv1d(h, conv_weight, conv_bias, dilation=dilation, state=state)
    if condition is not None and condition_weight is not None:
        before = before + linear(condition, condition_weight)
    if static_term is not None:
        before = before + static_term.unsqueeze(1)
    filtered, gate = before.chunk(2, dim=2)
    projected = linear(filtered.tanh() * gate.sigmoid(), project_weight, project_bias)
    if residual:
        channels = h.shape[2]
        h, projected = h + projected[:, :, :channels], projected[:, :, channels:]
    return h, projected if skip is None else skip + projected, new_state
