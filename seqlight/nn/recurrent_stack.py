"""Recurrent layers of any kinds and sizes one upon the other, with batch normalisation between them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from seqlight.nn.recurrent import Recurrent
from seqlight.ops.checks import check_tensor

State = tuple[Any, ...]


class RecurrentStack(nn.Module):
    """Recurrent layers one upon the other: each takes the whole output sequence of the one below.

    ``num_layers`` of a layer stacks equal ones; here each is a layer of its own, so that they may differ in
    kind and size (20, 20, 1), and batch normalisation may stand between them.

    ``output, state = stack(x, state=None, lengths=None)``: output [B, T, H of the last layer]; the state is
    the tuple of the layers' states. Running in chunks with the state handed on equals running whole, in
    training too unless ``batch_norm`` is on, whose statistics are those of what it sees at once.

    Args:
        layers: layers of :mod:`seqlight.nn`, each with as many inputs as the one below has outputs.
        batch_norm: normalise the output of each layer before the next, see :class:`SequenceBatchNorm`.
        dropout: probability of dropping an element of a layer's output before the next layer, in training.

    Raises:
        TypeError: a layer is none of :class:`~seqlight.nn.Recurrent`.
        ValueError: no layer, sizes that do not fit, or a dropout outside 0..1.

    Example:
        >>> stack = seqlight.nn.RecurrentStack([seqlight.nn.RNN(1, 20), seqlight.nn.RNN(20, 1)])
        >>> output, (lower, upper) = stack(torch.randn(32, 50, 1))
        >>> output.shape, lower.shape
        (torch.Size([32, 50, 1]), torch.Size([1, 32, 20]))
    """

    def __init__(
        self, layers: Iterable[Recurrent[Any]], *, batch_norm: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        given = list(layers)
        if not given:
            raise ValueError("RecurrentStack: layers expected at least one, got none")
        for index, layer in enumerate(given):
            if not isinstance(layer, Recurrent):
                raise TypeError(
                    f"RecurrentStack: layers[{index}] expected a recurrent layer of seqlight.nn, "
                    f"got {type(layer).__name__}"
                )
        sizes = [layer.hidden_size * layer.num_directions for layer in given]
        for index, (below, layer) in enumerate(zip(sizes, given[1:], strict=False), start=1):
            if layer.input_size != below:
                raise ValueError(
                    f"RecurrentStack: layers[{index}] expected with input_size = {below}, the outputs of the "
                    f"layer below, got {layer.input_size}"
                )
        if not 0 <= dropout <= 1:
            raise ValueError(
                f"RecurrentStack: dropout expected a probability between 0 and 1, got {dropout!r}"
            )
        self.layers = nn.ModuleList(given)
        self.norms = nn.ModuleList(SequenceBatchNorm(size) for size in sizes[:-1]) if batch_norm else None
        self.dropout = float(dropout)
        self.input_size = given[0].input_size
        self.hidden_size = sizes[-1]

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run the layers over a batch of sequences.

        Args:
            x: [B, T, C].
            state: as returned by an earlier call; None for zeros.
            lengths: int64 [B], how many steps of each row count; None for all.

        Returns:
            ``(output, state)``: [B, T, H], zero past each row's end, and one state per layer.

        Raises:
            ValueError: a wrong shape, device or length.
            TypeError: a wrong type or dtype, or a state that is no tuple.
        """
        after = []
        for index, before in enumerate(self._states(state)):
            x, new = self.layers[index](x, before, lengths)
            x = self._between(index, x, lengths)
            after.append(new)
        return x, tuple(after)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step [B, C], for streaming; the output is [B, H].

        Raises:
            RuntimeError: a layer is bidirectional; or batch normalisation in training mode, which would take
                its statistics from this one step.
            ValueError: a wrong shape or device.
            TypeError: a wrong type or dtype, or a state that is no tuple.
        """
        if self.norms is not None and self.training:
            raise RuntimeError(
                "RecurrentStack: step with batch_norm=True in training mode would normalise by the "
                "statistics of a single step; call eval() first, or forward on the whole sequence"
            )
        after = []
        for index, before in enumerate(self._states(state)):
            x_t, new = self.layers[index].step(x_t, before)  # type: ignore[operator]
            x_t = self._between(index, x_t.unsqueeze(1), None).squeeze(1)
            after.append(new)
        return x_t, tuple(after)

    def _between(self, index: int, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Do what stands between layer ``index`` and the next to the output [B, T, H] of the former."""
        if index == len(self.layers) - 1:
            return x
        if self.norms is not None:
            x = self.norms[index](x, lengths)
        return dropout(x, self.dropout, self.training) if self.dropout > 0 else x

    def _states(self, state: State | None) -> State:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, tuple | list):
            raise TypeError(
                f"RecurrentStack: state expected the tuple that forward returned, got {type(state).__name__}"
            )
        if len(state) != len(self.layers):
            raise ValueError(
                f"RecurrentStack: state expected {len(self.layers)} parts, one per layer, got {len(state)}"
            )
        return tuple(state)


class SequenceBatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of sequences [B, T, C], over batch and time.

    In training a feature is normalised by its mean and variance over all rows and time steps of the batch
    (only those before each row's end, where lengths are given), and running averages of both are kept; in
    evaluation the running averages take their place.

    It stands between recurrent layers, not inside them, and gains little there. Time steps are no independent
    samples, and the first ones, where the state has not yet settled, differ from later ones, yet all share
    one mean and variance. The network is another one in training than in evaluation, and a step-by-step
    decoder only ever sees the latter. And a batch of few or short sequences, or a process of its own in
    distributed training, has statistics of its own (``Trainer(sync_batchnorm=True)`` shares them). Layer
    normalisation, inside the cell, over the features of one time step, has none of these troubles.

    Args:
        size: number of features C.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        # A member, not a base class: sync_batchnorm=True replaces BatchNorm1d modules by its own.
        self.norm = nn.BatchNorm1d(size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise [B, T, C]; past a row's end the output is zero."""
        check_tensor(type(self).__name__, "x", x)
        if lengths is None:
            return self.norm(x.flatten(0, 1)).view_as(x)
        steps = torch.arange(x.shape[1], device=x.device)
        known = steps < lengths.to(x.device).unsqueeze(1)
        output = torch.zeros_like(x)
        output[known] = self.norm(x[known]).to(x.dtype)
        return output
