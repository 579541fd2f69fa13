"""Run by a test in a process of its own: holds the native causal convolution against the float64 reference.

Prints the instruction set that the kernels ran with, and exits with an error where a result is wrong.
"""

import itertools

import torch

from seqlight import _extension
from seqlight.ops import causal_conv1d
from seqlight.ops.causal_conv1d_reference import causal_conv1d as reference

extension = _extension.extension
assert extension is not None, _extension.build_info()
torch.set_num_threads(1)
cases = itertools.product((1, 30), (1, 3, 5, 16, 20, 50), (2, 5, 16, 20, 33, 70), (None, "relu", "gate"))
for count, (steps, in_channels, out_channels, activation) in enumerate(cases):
    torch.manual_seed(count)
    groups = in_channels if count % 4 == 0 and activation != "gate" else 1
    channels = in_channels if groups > 1 else out_channels * (2 if activation == "gate" else 1)
    tensors = [
        torch.randn(2, steps, in_channels, dtype=torch.float64),
        torch.randn(channels, in_channels // groups, 3, dtype=torch.float64)
        * (in_channels // groups) ** -0.5,
        torch.randn(channels, dtype=torch.float64),
        torch.randn(2, 8, in_channels, dtype=torch.float64),
    ]
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
        results = []
        for function, (x, weight, bias, state) in ((causal_conv1d, leaves), (reference, exact)):
            output, new_state = function(
                x, weight, bias, dilation=4, groups=groups, state=state, activation=activation
            )
            loss = output.sin().sum() + new_state.sin().sum()
            results.append((output, new_state, *torch.autograd.grad(loss, (x, weight, bias, state))))
        for number, (found, right) in enumerate(zip(*results, strict=True)):
            error = (found - right).abs().max() / right.abs().max().clamp(min=0.1)
            assert error < tolerance, (steps, in_channels, channels, activation, dtype, number, error.item())
print(extension.cpu_isa())
