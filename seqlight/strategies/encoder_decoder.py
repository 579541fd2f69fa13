"""A network that is itself sequence-to-sequence: the past is encoded, the future decoded."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seqlight.inputs import Window
from seqlight.strategies.base import Feed, Strategy
from seqlight.strategies.loss import PointwiseLoss, masked_loss
from seqlight.strategies.state_rows import repeat_rows, repeat_state


class EncoderDecoderNetwork(Protocol):
    """What :class:`EncoderDecoderStrategy` asks of a network; :class:`seqlight.nn.EncoderDecoder` has it."""

    def encode(self, x: Tensor) -> Any:
        """Return the state after the past ``[B, L, I]``."""

    def decode(self, decoder_inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Run over the decoder's inputs ``[B, H, I]``: outputs ``[B, H, C]``, and the state after them."""


class EncoderDecoderStrategy(Strategy):
    """The encoder's state after the past begins the decoder, which predicts one future step after the other.

    The decoder's input for a step is what the network's input is everywhere else: the target one step before,
    the known covariates of the step itself, and the static values; for the first step the target is the last
    of the past. So the covariates of the whole future are used. The encoder alone is given past covariates,
    which nobody knows of a future step. In decoding the target one step before is the decoder's own forecast.

    In training it is the true value with probability ``teacher_forcing``, else the decoder's own forecast:
    scheduled sampling (Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural
    networks", 2015), drawn anew for every window and step. As in the paper, no gradient goes back through a
    value that was fed back. A true value that is missing enters as a missing one does in the past.
    """

    carries_state = False  # the decoder has left the past behind when the next window begins

    decodes_own_forecasts: bool = False
    """Whether the decoder has learned to go on from its own forecasts, so that its outputs speak of their
    steps as seen from the past; else, as with ``teacher_forcing=1``, they go on from true values."""

    @property
    def horizon(self) -> int:
        """1, the decoder's next step."""
        return 1

    @property
    def conditional(self) -> bool:
        """Whether outputs are distributions of a step given the true values before it."""
        return self.parameter_count is not None and not self.decodes_own_forecasts

    def check_network(self, network: nn.Module) -> None:
        """Raise TypeError unless the network encodes and decodes."""
        missing = [name for name in ("encode", "decode") if not callable(getattr(network, name, None))]
        if missing:
            raise TypeError(
                "strategy 'encoder_decoder': expected a network with the methods encode(x) -> state and "
                f"decode(inputs, state) -> (output, state), such as seqlight.nn.EncoderDecoder; "
                f"{type(network).__name__} has no {' and no '.join(missing)}"
            )

    def loss(
        self,
        network: nn.Module,
        window: Window,
        future: Tensor,
        pointwise: PointwiseLoss,
        *,
        teacher_forcing: float = 1.0,
        feed: Feed | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss summed over the known cells of the future, and their count.

        Args:
            network: an :class:`EncoderDecoderNetwork`.
            window: the windows' past.
            future: transformed target ``[B, H, C]``, NaN where missing.
            pointwise: the loss of every cell.
            teacher_forcing: probability of the true value as an input. With 1 all inputs are known
                beforehand, and the decoder runs over them in one call.
            feed: what is fed back of an output; None for the output itself.

        """
        if teacher_forcing >= 1.0:
            inputs = window.teacher_forced(future)
            output, _ = network.decode(inputs, network.encode(window.inputs()))  # type: ignore[operator]
            preds = self._checked(network, output, window, window.prediction_length)
        else:
            preds = self._decode(network, window, future, teacher_forcing, feed=feed)[0]
        return masked_loss(pointwise, preds, future)

    def future_loss(
        self, network: nn.Module, window: Window, future: Tensor, pointwise: PointwiseLoss
    ) -> tuple[Tensor, Tensor]:
        """Return the loss over the future, each step given the true values before it."""
        return self.loss(network, window, future, pointwise)

    def decode(self, network: nn.Module, window: Window, feed: Feed | None = None) -> Tensor:
        """Return the forecast ``[B, H, C]`` in transformed space, or the outputs ``[B, H, C, P]``."""
        return self._decode(network, window, feed=feed)[0]

    def paths(self, network: nn.Module, window: Window, draw: Feed, count: int) -> Tensor:
        """Return paths ``[N, B, H, C]``; all run through the decoder together, as N * B windows."""
        return self._decode(network, window, feed=draw, count=count)[1].unflatten(0, (count, -1))

    def _decode(
        self,
        network: nn.Module,
        window: Window,
        truth: Tensor | None = None,
        teacher_forcing: float = 0.0,
        *,
        feed: Feed | None = None,
        count: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Decode step by step, feeding back what ``feed`` makes of an output or, by chance, the truth.

        Returns:
            The outputs of all steps, and what ``feed`` made of them.

        """
        state = network.encode(window.inputs())  # type: ignore[operator]
        u = window.decoder_start()
        if count > 1:
            state = repeat_state(state, network, window.past.shape[0], count)
            u, window = repeat_rows(u, count), window.repeated(count)
        outputs: list[Tensor] = []
        values: list[Tensor] = []
        for step in range(window.prediction_length):
            if step:
                fed_back = values[-1]
                if truth is not None:
                    fed_back = fed_back.detach()
                    true = torch.rand(fed_back.shape[0], 1, 1, device=fed_back.device) < teacher_forcing
                    fed_back = torch.where(true, truth[:, step - 1 : step].to(fed_back.dtype), fed_back)
                u = window.feedback(fed_back, step)
            output, state = network.decode(u, state)  # type: ignore[operator]
            outputs.append(self._checked(network, output, window, 1))
            values.append(outputs[-1] if feed is None else feed(outputs[-1], step))
        return torch.cat(outputs, dim=1), torch.cat(values, dim=1)

    def _checked(self, network: nn.Module, output: Tensor, window: Window, steps: int) -> Tensor:
        expected = (window.past.shape[0], steps, self.output_size)
        if tuple(output.shape) != expected:
            raise ValueError(
                f"{type(network).__name__}.decode: expected an output of shape [B, steps, output_size] = "
                f"{list(expected)}, got {list(output.shape)}"
            )
        return self._cells(output.to(window.past.dtype)).squeeze(2)
