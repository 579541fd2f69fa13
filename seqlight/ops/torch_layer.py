"""torch's own recurrent layer (cuDNN and the like): what runs plain cells where the build has no kernels.

It knows neither peepholes nor layer norm, neither zoneout nor recurrent dropout, and no derivatives but the
first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqlight.ops.recurrent_autograd import Constants
from seqlight.ops.recurrent_native import NativeCell


def torch_has_it(
    cell: NativeCell, tensors: Sequence[Any], constants: Constants, flags: Sequence[float]
) -> bool:
    """Say whether torch's layer computes what a recurrent op is asked for.

    The arguments are those of :class:`~seqlight.ops.recurrent_native.NativeCell`.
    """
    hidden_mask, zoneout_seed, _lengths = constants
    extras = tensors[5 + cell.state_count :]
    if hidden_mask is not None or zoneout_seed is not None or any(flags[: cell.state_count]):
        return False
    if any(extra is not None for extra in extras) or 0 in tensors[0].shape:
        return False
    # Other derivatives are the reference's, and so are compiled programs: torch cannot trace its layer.
    if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
        return False
    return not torch._C._are_functorch_transforms_active()


def run_torch_layer(
    cell: NativeCell, tensors: Sequence[Any], constants: Constants, flags: Sequence[float]
) -> tuple[Tensor, ...]:
    """Run one layer in one direction by torch; give output [B, T, H] and final states [B, H].

    With lengths that are on a device the host waits for them, as torch's packed sequences want them.
    """
    x, *others = tensors
    states, weights = others[: cell.state_count], others[cell.state_count :][:4]
    bias_ih, bias_hh = weights[2:]
    if bias_ih is None and bias_hh is None:
        weights = weights[:2]
    else:  # torch has both or none
        zeros = torch.zeros_like(bias_hh if bias_ih is None else bias_ih)
        weights = [*weights[:2], zeros if bias_ih is None else bias_ih, zeros if bias_hh is None else bias_hh]
    reverse, lengths = bool(flags[-1]), constants[2]
    run = getattr(torch, cell.name if cell.name != "rnn" else ("rnn_relu" if flags[-2] else "rnn_tanh"))
    # cuDNN gives gradients in training alone; there is no dropout that would tell the difference.
    options = (weights, len(weights) > 2, 1, 0.0, torch.is_grad_enabled(), False)
    if lengths is None:
        h = [state.unsqueeze(0) for state in states]
        given = x.transpose(0, 1)
        given = given.flip(0) if reverse else given
        output, *finals = run(given, h if cell.state_count == 2 else h[0], *options, False)
        output = (output.flip(0) if reverse else output).transpose(0, 1)
        return output, *[final.squeeze(0) for final in finals]

    on_host = lengths.cpu()
    order = on_host.argsort(descending=True)
    order_there = order.to(x.device)
    back = order_there.argsort()
    places = _reversed_places(lengths, x.shape[1]) if reverse else None
    given = x if places is None else x.gather(1, places.unsqueeze(2).expand_as(x))
    # A row without steps gets one, which is taken back below.
    packed = pack_padded_sequence(given[order_there], on_host[order].clamp(min=1), batch_first=True)
    h = [state[order_there].unsqueeze(0) for state in states]
    data, *finals = run(packed.data, packed.batch_sizes, h if cell.state_count == 2 else h[0], *options)
    unpacked = PackedSequence(data, packed.batch_sizes)
    output = pad_packed_sequence(unpacked, batch_first=True, total_length=x.shape[1])[0][back]
    if places is not None:
        output = output.gather(1, places.unsqueeze(2).expand_as(output))
    empty = (lengths == 0).unsqueeze(1)
    output = output.masked_fill(empty.unsqueeze(2), 0)
    ends = [final.squeeze(0)[back] for final in finals]
    return output, *[torch.where(empty, state, end) for state, end in zip(states, ends, strict=True)]


def _reversed_places(lengths: Tensor, steps: int) -> Tensor:
    """Give where each step of each row stands when the row runs backwards from its own end: [B, T]."""
    step = torch.arange(steps, device=lengths.device)
    mirrored = lengths.unsqueeze(1) - 1 - step
    return torch.where(mirrored >= 0, mirrored, step)
