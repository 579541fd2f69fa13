"""Encoder-decoder: the state in which one recurrent layer leaves a sequence begins another sequence."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import dropout

from seqlight.nn.recurrent import Recurrent


class EncoderDecoder(nn.Module):
    r"""Sequence-to-vector followed by vector-to-sequence (Cho et al., "Learning phrase representations using
    RNN encoder-decoder", 2014; Sutskever et al., "Sequence to sequence learning with neural networks", 2014).

    The encoder reads a sequence x of T steps; its last state s is all that the decoder is told of it. From s
    the decoder runs over a sequence of its own, of H steps, and a linear layer makes an output of each:

    .. math::
        s_0 &= \text{encoder}(x_1, \ldots, x_T) \\
        h_k, s_k &= \text{decoder}(u_k, s_{k-1}) \\
        y_k &= W h_k + b

    The inputs u of the decoder are the caller's. In training they are the true outputs one step late
    (teacher forcing), known beforehand, so the whole sequence is one call of :meth:`forward` or
    :meth:`decode`. To generate, call :meth:`decode_step` with what came out of the step before.

    Args:
        encoder: a layer of :mod:`seqlight.nn`, in one direction.
        decoder: a layer of the same kind, `hidden_size` and `num_layers`, whose inputs may be others.
        output_size: channels of an output.
        dropout: probability of dropping an element of the decoder's output before the linear layer, in
            training.

    Raises:
        TypeError: the layers are not of one kind of :class:`~seqlight.nn.Recurrent`.
        ValueError: their states differ in size, one is bidirectional, or a number is out of its range.

    Example:
        >>> layers = seqlight.nn.GRU(3, 20, num_layers=2), seqlight.nn.GRU(1, 20, num_layers=2)
        >>> net = seqlight.nn.EncoderDecoder(*layers, output_size=1)
        >>> output, state = net(torch.randn(32, 50, 3), torch.randn(32, 10, 1))
        >>> output.shape
        torch.Size([32, 10, 1])
    """

    def __init__(
        self, encoder: Recurrent[Any], decoder: Recurrent[Any], output_size: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        for name, layer in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(layer, Recurrent):
                raise TypeError(
                    f"EncoderDecoder: {name} expected a recurrent layer of seqlight.nn, "
                    f"got {type(layer).__name__}"
                )
            if layer.bidirectional:
                raise ValueError(
                    f"EncoderDecoder: {name} expected with bidirectional=False: a decoder runs "
                    "forward only, and has no place for a backward state"
                )
        if type(encoder) is not type(decoder):
            raise TypeError(
                "EncoderDecoder: encoder and decoder expected of one kind, so that the state of one fits the "
                f"other, got {type(encoder).__name__} and {type(decoder).__name__}"
            )
        for size in ("hidden_size", "num_layers"):
            if getattr(encoder, size) != getattr(decoder, size):
                raise ValueError(
                    f"EncoderDecoder: encoder and decoder expected with the same {size}, "
                    f"got {getattr(encoder, size)} and {getattr(decoder, size)}"
                )
        if not isinstance(output_size, int) or isinstance(output_size, bool) or output_size < 1:
            raise ValueError(
                f"EncoderDecoder: output_size expected an integer of at least 1, got {output_size!r}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(
                f"EncoderDecoder: dropout expected a probability between 0 and 1, got {dropout!r}"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.head = nn.Linear(decoder.hidden_size, output_size)
        self.dropout = float(dropout)

    def forward(
        self, x: Tensor, decoder_inputs: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Encode a sequence and decode another whose inputs are known.

        Args:
            x: [B, T, C], C the encoder's `input_size`.
            decoder_inputs: [B, H, D], D the decoder's `input_size`.
            state: of the encoder before `x`; None for zeros.
            lengths: int64 [B], how many steps of each row of `x` count; None for all.

        Returns:
            ``(output, state)``: output [B, H, output_size], and the decoder's last state.

        Raises:
            ValueError: a wrong shape, device or length.
            TypeError: a wrong type or dtype.
        """
        return self.decode(decoder_inputs, self.encode(x, state, lengths))

    def encode(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Any:
        """Return the encoder's last state over x [B, T, C], at each row's own end."""
        _, state = self.encoder(x, state, lengths)
        return state

    def decode(self, decoder_inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Run the decoder over inputs [B, H, D]: outputs [B, H, output_size] and the last state."""
        output, state = self.decoder(decoder_inputs, state)
        return self.head(dropout(output, self.dropout, self.training)), state

    def decode_step(self, u_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Run the decoder over one step's input [B, D]: output [B, output_size] and the new state."""
        output, state = self.decoder.step(u_t, state)
        return self.head(dropout(output, self.dropout, self.training)), state

    def extra_repr(self) -> str:
        """Say what differs from the defaults."""
        return f"dropout={self.dropout}" if self.dropout else ""
