"""WaveNet: stacks of dilated causal convolutions whose receptive field doubles with every layer."""

from typing import Any

import torch
from torch import Tensor, nn

from seqlight.nn.convolution import CausalConv1d, as_one_step

State = tuple[Tensor, ...]


class WaveNet(nn.Module):
    r"""WaveNet over [B, T, C] (van den Oord et al., "WaveNet: a generative model for raw audio", 2016).

    `num_blocks` blocks of `layers_per_block` dilated causal convolutions each, with dilations 1, 2, 4, ...
    that start anew in every block: low layers see short-term patterns, high ones long-term patterns.

    The paper's form (``gated=True``) starts with a causal convolution of the input; each layer then computes,
    from its input h and the dilated convolutions :math:`*`,

    .. math::
        z &= \tanh(W_f * h + V_f c + U_f s) \odot \sigma(W_g * h + V_g c + U_g s) \\
        h' &= h + W_r z \qquad \text{(the input of the next layer)}

    and adds :math:`W_s z` to a sum over all layers, which two 1x1 convolutions with ReLU before each turn
    into the output. c is a local condition, known at every time step, and s a global one; both are optional.

    The simple form (``gated=False``) stacks the dilated convolutions with ReLU and ends with one 1x1
    convolution, without gates, residual or skip connections.

    ``output, state = net(x, state=None)``: output [B, T, output_size]; the state is a tuple of one tensor per
    convolution, the last inputs of each. Running in chunks with the state handed on equals running whole.

    Args:
        input_size: number of input channels.
        output_size: number of output channels.
        hidden_size: channels of the convolutions.
        skip_size: channels of the sum over layers; None for `hidden_size`. Only with ``gated=True``.
        num_blocks: how often the dilations start anew.
        layers_per_block: layers with dilations 1, 2, 4, ..., 2^(layers_per_block - 1).
        kernel_size: taps of every dilated convolution, and of the first one of the gated form.
        gated: whether to build the paper's form rather than the simple one.
        condition_size: channels of the local condition, 0 for none. Only with ``gated=True``.
        static_size: channels of the global condition, 0 for none. Only with ``gated=True``.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a size is too small, or an option of the gated form given to the simple one.

    Example:
        >>> net = seqlight.nn.WaveNet(1, 10, hidden_size=20, num_blocks=2, layers_per_block=4)
        >>> output, state = net(torch.randn(32, 50, 1))
        >>> output.shape, net.receptive_field
        (torch.Size([32, 50, 10]), 32)
    """

    #: The batch axis of the state's tensors, for those who carry it from batch to batch.
    state_batch_dim = 0

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        hidden_size: int = 32,
        skip_size: int | None = None,
        num_blocks: int = 2,
        layers_per_block: int = 4,
        kernel_size: int = 2,
        gated: bool = True,
        condition_size: int = 0,
        static_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "input_size": (input_size, 1),
            "output_size": (output_size, 1),
            "hidden_size": (hidden_size, 1),
            "skip_size": (hidden_size if skip_size is None else skip_size, 1),
            "num_blocks": (num_blocks, 1),
            "layers_per_block": (layers_per_block, 1),
            "kernel_size": (kernel_size, 1),
            "condition_size": (condition_size, 0),
            "static_size": (static_size, 0),
        }
        for name, (size, least) in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < least:
                raise ValueError(f"WaveNet: {name} expected an integer of at least {least}, got {size!r}")
        if not gated and (condition_size or static_size or skip_size is not None):
            raise ValueError(
                "WaveNet: condition_size, static_size and skip_size belong to gated=True; "
                "expected none of them with gated=False"
            )
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_size = hidden_size
        self.kernel_size = kernel_size
        self.gated = gated
        self.condition_size = condition_size
        self.static_size = static_size
        self.dilations = tuple(2**layer for _ in range(num_blocks) for layer in range(layers_per_block))
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        if gated:
            skip = hidden_size if skip_size is None else skip_size
            self.input_layer = CausalConv1d(input_size, hidden_size, kernel_size, **options)
            last = len(self.dilations) - 1
            self.layers = nn.ModuleList(
                GatedLayer(
                    hidden_size,
                    skip,
                    kernel_size,
                    dilation,
                    condition_size=condition_size,
                    static_size=static_size,
                    residual=index < last,
                    **options,
                )
                for index, dilation in enumerate(self.dilations)
            )
            self.head = nn.Sequential(
                nn.ReLU(),
                nn.Linear(skip, skip, **options),
                nn.ReLU(),
                nn.Linear(skip, output_size, **options),
            )
        else:
            widths = [input_size] + [hidden_size] * (len(self.dilations) - 1)
            self.layers = nn.ModuleList(
                CausalConv1d(width, hidden_size, kernel_size, dilation, **options)
                for width, dilation in zip(widths, self.dilations, strict=True)
            )
            self.head = nn.Sequential(nn.Linear(hidden_size, output_size, **options))

    @property
    def receptive_field(self) -> int:
        """Number of inputs that an output depends on, from the oldest to the current."""
        reach = sum(self.dilations) + (1 if self.gated else 0)
        return (self.kernel_size - 1) * reach + 1

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        condition: Tensor | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Args:
            x: [B, T, input_size].
            state: as returned by an earlier call; None for zeros.
            condition: the local condition [B, T, condition_size]; wanted if that is not 0.
            static: the global condition [B, static_size]; wanted if that is not 0.

        Returns:
            ``(output, state)``: [B, T, output_size] and one tensor per convolution.

        Raises:
            ValueError: a wrong shape, a condition that is missing or was not asked for.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.
        """
        self._check(x, state, condition, static)
        before: tuple[Tensor | None, ...] = (None,) * self.state_count if state is None else state
        after = []
        if not self.gated:
            for layer, old in zip(self.layers, before, strict=True):
                x, new = layer(x, old, activation="relu")
                after.append(new)
            return self.head(x), tuple(after)

        h, new = self.input_layer(x, before[0])
        after.append(new)
        total = None
        for layer, old in zip(self.layers, before[1:], strict=True):
            h, skip, new = layer(h, old, condition, static)
            total = skip if total is None else total + skip
            after.append(new)
        return self.head(total), tuple(after)

    def step(
        self,
        x_t: Tensor,
        state: State | None = None,
        *,
        condition: Tensor | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run one time step, for streaming and generation.

        Args:
            x_t: [B, input_size].
            state: as returned by :meth:`forward` or an earlier step; None for zeros.
            condition: the local condition of this step [B, condition_size].
            static: the global condition [B, static_size].

        Returns:
            ``(output, state)`` with output [B, output_size].

        Raises:
            ValueError: a wrong shape, a condition that is missing or was not asked for.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.
        """
        if isinstance(condition, Tensor):
            condition = condition.unsqueeze(1)
        x = as_one_step(self, x_t, self.input_size)
        output, state = self.forward(x, state, condition=condition, static=static)
        return output.squeeze(1), state

    @property
    def state_count(self) -> int:
        """How many tensors make up the state: one per convolution over time."""
        return len(self.layers) + (1 if self.gated else 0)

    def _check(self, x: Tensor, state: State | None, condition: Tensor | None, static: Tensor | None) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"WaveNet: x expected a torch.Tensor, got {type(x).__name__}")
        if x.dim() != 3 or x.shape[2] != self.input_size:
            hint = "; for one sequence use x.unsqueeze(0)" if x.dim() == 2 else ""
            raise ValueError(
                f"WaveNet: x expected [B, T, C] with C = {self.input_size}, got {list(x.shape)}{hint}"
            )
        if state is not None:
            if not isinstance(state, tuple | list) or not all(isinstance(part, Tensor) for part in state):
                raise TypeError(
                    f"WaveNet: state expected the tuple of tensors that forward returned, "
                    f"got {type(state).__name__}"
                )
            if len(state) != self.state_count:
                raise ValueError(
                    f"WaveNet: state expected {self.state_count} tensors, one per convolution, "
                    f"got {len(state)}"
                )
        local = (x.shape[0], x.shape[1], self.condition_size)
        _check_condition("condition", "[B, T, condition_size]", condition, local)
        _check_condition("static", "[B, static_size]", static, (x.shape[0], self.static_size))

    def extra_repr(self) -> str:
        """Tell the form and the receptive field."""
        return f"gated={self.gated}, receptive_field={self.receptive_field}"


class GatedLayer(nn.Module):
    """One layer of the gated WaveNet: dilated convolution, gate, 1x1 residual and skip.

    Parameters: ``conv`` with 2 * `channels` outputs, those of tanh first; ``project``, the 1x1 convolutions
    of residual and skip in one, the residual's outputs first; ``condition`` and ``static``, what the
    conditions add before the gate.

    Args:
        channels: of input and residual.
        skip_size: channels of the skip connection.
        kernel_size: of the dilated convolution.
        dilation: of the dilated convolution.
        condition_size: channels of the local condition, 0 for none.
        static_size: channels of the global condition, 0 for none.
        residual: whether there is a residual output; the last layer needs none.
        device: of the parameters.
        dtype: of the parameters.
    """

    def __init__(
        self,
        channels: int,
        skip_size: int,
        kernel_size: int,
        dilation: int,
        *,
        condition_size: int = 0,
        static_size: int = 0,
        residual: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.residual = residual
        self.skip_size = skip_size
        self.conv = CausalConv1d(channels, 2 * channels, kernel_size, dilation, **options)
        self.project = nn.Linear(channels, (channels if residual else 0) + skip_size, **options)
        # The convolution has a bias already.
        self.condition = _optional_linear(condition_size, 2 * channels, **options)
        self.static = _optional_linear(static_size, 2 * channels, **options)

    def forward(
        self, h: Tensor, state: Tensor | None, condition: Tensor | None, static: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the next layer's input [B, T, C], the skip output [B, T, S] and the new state."""
        if self.condition is None and self.static is None:
            z, new_state = self.conv(h, state, activation="gate")
        else:
            before, new_state = self.conv(h, state)
            if self.condition is not None:
                before = before + self.condition(condition)
            if self.static is not None:
                before = before + self.static(static).unsqueeze(1)
            filtered, gate = before.chunk(2, dim=2)
            z = filtered.tanh() * gate.sigmoid()
        projected = self.project(z)
        if not self.residual:
            return h, projected, new_state
        residual, skip = projected.split([h.shape[2], self.skip_size], dim=2)
        return h + residual, skip, new_state


def _optional_linear(
    size: int, channels: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Linear | None:
    return nn.Linear(size, channels, bias=False, device=device, dtype=dtype) if size else None


def _check_condition(name: str, dims: str, value: Tensor | None, sizes: tuple[int, ...]) -> None:
    """Raise unless `value` is a tensor of shape `sizes`, or None where the last size is 0."""
    if sizes[-1] == 0:
        if value is not None:
            raise ValueError(f"WaveNet: {name} expected None, since the net was made with {name}_size=0")
        return
    if value is None:
        raise ValueError(f"WaveNet: {name} expected {dims} = {list(sizes)}, got None")
    if not isinstance(value, Tensor):
        raise TypeError(f"WaveNet: {name} expected a torch.Tensor, got {type(value).__name__}")
    if value.shape != sizes:
        raise ValueError(f"WaveNet: {name} expected {dims} = {list(sizes)}, got {list(value.shape)}")
