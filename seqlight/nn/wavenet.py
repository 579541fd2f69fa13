"""WaveNet: stacks of dilated causal convolutions whose receptive field doubles with every layer."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from seqlight.nn.convolution import CausalConv1d, as_one_step
from seqlight.nn.wavenet_gated_layer import GatedLayer, is_its_weights
from seqlight.ops import GenerationHead, WaveNetWeights, wavenet_generate
from seqlight.ops.checks import kind_of
from seqlight.ops.philox import draw_seed

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

    Where x is a sequence of classes, such as a mu-law coded waveform, it may also be given as int64 [B, T],
    which stands for their one-hot vectors of `input_size` channels. :meth:`generate` lets the net run on
    its own outputs.

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
            x: [B, T, input_size], or int64 classes [B, T] in 0 ... input_size - 1.
            state: as returned by an earlier call; None for zeros.
            condition: the local condition [B, T, condition_size]; wanted if that is not 0.
            static: the global condition [B, static_size]; wanted if that is not 0.

        Returns:
            ``(output, state)``: [B, T, output_size] and one tensor per convolution.

        Raises:
            ValueError: a wrong shape, a condition that is missing or was not asked for.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.
        """
        x = self._one_hot(x)
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
            h, total, new = layer(h, old, total, condition, static)
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
            x_t: [B, input_size], or int64 classes [B].
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
        if isinstance(x_t, Tensor) and x_t.dtype == torch.int64 and x_t.dim() == 1:
            x_t = self._one_hot(x_t.unsqueeze(1)).squeeze(1)
        x = as_one_step(self, x_t, self.input_size)
        output, state = self.forward(x, state, condition=condition, static=static)
        return output.squeeze(1), state

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        steps: int,
        state: State | None = None,
        *,
        head: GenerationHead = "regression",
        temperature: float = 1.0,
        seed: Tensor | None = None,
        condition: Tensor | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Continue `prompt` by `steps` time steps, each computed from the ones before it.

        The net must have as many outputs as inputs. With ``head="regression"`` an output is the next input.
        With ``head="categorical"`` the outputs are logits of classes; a class is drawn from
        softmax(logits / temperature), and its one-hot vector is the next input.

        The prompt runs like any sequence; all steps after it run in one native call, whose cost for a step
        is one product with every weight, whatever the receptive field.
        :func:`seqlight.ops.wavenet_generate` states the equations, the random numbers included. Nothing is
        differentiated.

        Args:
            prompt: [B, T, input_size], or int64 classes [B, T]; T at least 1.
            steps: how many time steps to generate.
            state: what came before the prompt, as returned by an earlier call; None for zeros.
            head: ``"regression"`` or ``"categorical"``.
            temperature: what the logits are divided by; below 1, likely classes become likelier.
            seed: int64 [1]; the same seed draws the same classes. None draws one from torch's generator.
            condition: the local condition [B, T + steps - 1, condition_size] of the prompt and of the steps
                to come but the last, which is no input any more; wanted if `condition_size` is not 0.
            static: the global condition [B, static_size]; wanted if that is not 0.

        Returns:
            ``(generated, state)``: [B, steps, input_size], or int64 classes [B, steps]; and the state
            before the last generated step has gone in, which is the prompt of a call that continues.

        Raises:
            ValueError: a wrong shape, number or name; a condition that is missing or was not asked for.
            TypeError: not a tensor, a wrong dtype, or a state that is no tuple of tensors.

        Example:
            >>> net = seqlight.nn.WaveNet(256, 256, hidden_size=64, num_blocks=3, layers_per_block=10)
            >>> silence = torch.full((1, 1), 128)
            >>> samples, state = net.generate(silence, 16000, head="categorical", temperature=0.9)
            >>> samples.shape, samples.dtype
            (torch.Size([1, 16000]), torch.int64)
        """
        prompt = self._one_hot(prompt)
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            raise ValueError(f"WaveNet: steps expected an integer of at least 0, got {steps!r}")
        if not isinstance(prompt, Tensor):
            raise TypeError(f"WaveNet: prompt expected a torch.Tensor, got {kind_of(prompt)}")
        if prompt.dim() != 3 or prompt.shape[1] == 0:
            raise ValueError(
                "WaveNet: prompt expected [B, T, C], or int64 classes [B, T], with at least one time step, "
                f"got {list(prompt.shape)}"
            )
        before = None if condition is None else condition[:, : prompt.shape[1] - 1]
        self._check(prompt[:, :-1], state, before, static)
        if condition is not None:
            local = (prompt.shape[0], prompt.shape[1] + steps - 1, self.condition_size)
            _check_condition("condition", "[B, T + steps - 1, condition_size]", condition, local)
            condition = condition[:, prompt.shape[1] - 1 :]
        if prompt.shape[1] > 1 or state is None:
            _, state = self.forward(prompt[:, :-1], state, condition=before, static=static)
        terms = None
        if static is not None:
            layers: list[Any] = list(self.layers)
            terms = torch.stack([linear(static, layer.static.weight) for layer in layers], 1)
        if head == "categorical" and seed is None:
            seed = draw_seed(prompt.device)
        return wavenet_generate(
            prompt[:, -1],
            steps,
            self._weights(),
            tuple(state),
            head=head,
            temperature=temperature,
            seed=seed,
            condition=condition,
            static_terms=terms,
        )

    def _weights(self) -> WaveNetWeights:
        """Give the parameters in the form of :func:`seqlight.ops.wavenet_generate`."""
        layers: list[Any] = list(self.layers)
        first: Any = self.input_layer if self.gated else layers.pop(0)
        convs = [layer.conv for layer in layers] if self.gated else layers
        projects = [layer.project for layer in layers] if self.gated else []
        conditions = [layer.condition for layer in layers] if self.condition_size else []
        head: list[Any] = [module for module in self.head if not isinstance(module, nn.ReLU)]
        for module in (first, *convs, *projects, *conditions, *head):
            if not is_its_weights(module):
                raise RuntimeError(
                    f"WaveNet: generate takes weights alone, and a {type(module).__name__} has hooks or a "
                    "forward of its own; call step, or make it plain (torch.nn.utils.prune.remove, "
                    "remove_weight_norm)"
                )
        return WaveNetWeights(
            input_weight=first.weight,
            input_bias=first.bias,
            conv_weights=tuple(conv.weight for conv in convs),
            conv_biases=tuple(conv.bias for conv in convs),
            dilations=tuple(conv.dilation for conv in convs),
            project_weights=tuple(project.weight for project in projects),
            project_biases=tuple(project.bias for project in projects),
            head_weights=tuple(module.weight for module in head),
            head_biases=tuple(module.bias for module in head),
            condition_weights=tuple(condition.weight for condition in conditions),
        )

    def _one_hot(self, x: Tensor) -> Tensor:
        """Turn classes [B, T] into one-hot vectors [B, T, input_size]; leave everything else as it is.

        Classes are looked at where no device has to be waited for, outside of torch.func.
        """
        if not isinstance(x, Tensor) or x.dtype != torch.int64 or x.dim() != 2:
            return x
        traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
        if x.is_cpu and x.numel() and not traced:
            low, high = (int(bound) for bound in torch.aminmax(x))
            if low < 0 or high >= self.input_size:
                raise ValueError(
                    f"WaveNet: x expected classes in 0 ... {self.input_size - 1}, "
                    f"got {low if low < 0 else high}"
                )
        return one_hot(x, self.input_size).to(next(self.parameters()).dtype)

    @property
    def state_count(self) -> int:
        """How many tensors make up the state: one per convolution over time."""
        return len(self.layers) + (1 if self.gated else 0)

    def _check(self, x: Tensor, state: State | None, condition: Tensor | None, static: Tensor | None) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"WaveNet: x expected a torch.Tensor, got {kind_of(x)}")
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


def _check_condition(name: str, dims: str, value: Tensor | None, sizes: tuple[int, ...]) -> None:
    """Raise unless `value` is a tensor of shape `sizes`, or None where the last size is 0."""
    if sizes[-1] == 0:
        if value is not None:
            raise ValueError(f"WaveNet: {name} expected None, since the net was made with {name}_size=0")
        return
    if value is None:
        raise ValueError(f"WaveNet: {name} expected {dims} = {list(sizes)}, got None")
    if not isinstance(value, Tensor):
        raise TypeError(f"WaveNet: {name} expected a torch.Tensor, got {kind_of(value)}")
    if value.shape != sizes:
        raise ValueError(f"WaveNet: {name} expected {dims} = {list(sizes)}, got {list(value.shape)}")
