"""A strided convolution in front of a network: a shorter sequence of wider steps."""

from torch import Tensor, nn


class ConvolutionInFront(nn.Module):
    """A strided, valid convolution over time, and a network on what comes out of it.

    With K taps and stride s, T steps become (T - K) // s + 1: each of them has seen K steps, and they are s
    apart. They are aligned to the end of the input, so that the last one has seen the last step; up to s - 1
    steps at the beginning are left out where K and s do not divide T evenly.

    There is no state: the convolution has an output at every s-th step only, and a state would have to say
    where between two of them the sequence broke off. The recursive strategy therefore runs the network again
    on the last L inputs for every step.

    Args:
        convolution: on ``[B, C, T]``, without padding and dilation.
        network: ``network(x [B, T, out_channels]) -> (output, state)``, with a method ``output_steps`` if it
            shortens the sequence too, see :func:`seqlight.strategies.output_steps`.

    """

    def __init__(self, convolution: nn.Conv1d, network: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution
        self.network = network

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Return the output ``[B, T', O]`` for the input ``[B, T, C]``, and None for the state.

        Raises:
            ValueError: T is less than the kernel, or a state is given.

        """
        if state is not None:
            raise ValueError("ConvolutionInFront: state expected None, for this network has no state")
        steps = self._convolved_steps(x.shape[1])
        begin = steps.start + 1 - self.convolution.kernel_size[0]
        convolved = self.convolution(x[:, begin:].transpose(1, 2)).transpose(1, 2)
        return self.network(convolved)[0], None

    def output_steps(self, length: int) -> range:
        """Return the input step that each output has seen last."""
        steps = self._convolved_steps(length)
        declared = getattr(self.network, "output_steps", None)
        if declared is None:
            return steps
        kept: range = declared(len(steps))
        return steps[kept.start : kept.stop : kept.step]

    def _convolved_steps(self, length: int) -> range:
        """The last input step of each output of the convolution."""
        (kernel_size,), (stride,) = self.convolution.kernel_size, self.convolution.stride
        if length < kernel_size:
            raise ValueError(
                f"ConvolutionInFront: x expected [B, T, C] with T of at least kernel_size = {kernel_size}, "
                f"got T = {length}"
            )
        return range(kernel_size - 1 + (length - kernel_size) % stride, length, stride)
