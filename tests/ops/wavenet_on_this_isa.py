"""Run by a test in a process of its own: holds native WaveNet layer and generation against their references.

Prints the instruction set that the kernels ran with, and exits with an error where a result is wrong.
"""

import itertools

import torch

from seqlight import _extension
from seqlight.nn import WaveNet
from seqlight.ops import use_backend, wavenet_layer

extension = _extension.extension
assert extension is not None, _extension.build_info()
torch.set_num_threads(1)


def shapes(steps: int, channels: int, skip_size: int, residual: bool) -> list[tuple[int, ...]]:
    rows = skip_size + (channels if residual else 0)
    own = ((2 * channels, channels, 3), (2 * channels,), (rows, channels), (rows,))
    rest = ((2, 8, channels), (2, steps, skip_size), (2, steps, 3), (2 * channels, 3), (2, 2 * channels))
    return [(2, steps, channels), *own, *rest]


NAMES = ("state", "skip", "condition", "condition_weight", "static_term")
cases = itertools.product((1, 230), (1, 5, 16, 50), (2, 33), (True, False))
for count, (steps, channels, skip_size, residual) in enumerate(cases):
    torch.manual_seed(count)
    tensors = [
        torch.randn(shape, dtype=torch.float64) * (channels**-0.5 if len(shape) < 3 or shape[2] == 3 else 1)
        for shape in shapes(steps, channels, skip_size, residual)
    ]
    for dtype, tolerance in ((torch.float32, 3e-5), (torch.float64, 1e-12)):
        results = []
        for backend in ("native", "reference"):
            exact = torch.float64 if backend == "reference" else dtype
            leaves = [tensor.to(dtype).to(exact).requires_grad_() for tensor in tensors]
            outputs = wavenet_layer(
                *leaves[:5],
                dilation=4,
                residual=residual,
                backend=backend,
                **dict(zip(NAMES, leaves[5:], strict=True)),
            )
            loss = sum(output.sin().sum() for output in outputs)
            results.append((*outputs, *torch.autograd.grad(loss, leaves)))
        for number, (found, right) in enumerate(zip(*results, strict=True)):
            error = (found - right).abs().max() / right.abs().max().clamp(min=0.1)
            assert error < tolerance, (steps, channels, skip_size, residual, dtype, number, error.item())

for hidden_size, kernel_size, gated in itertools.product((5, 33, 70), (1, 3), (True, False)):
    torch.manual_seed(hidden_size)
    net = WaveNet(9, 9, hidden_size=hidden_size, kernel_size=kernel_size, gated=gated).double()
    prompt, seed = torch.randint(0, 9, (4, 3)), torch.tensor([hidden_size])
    found = []
    for backend in ("native", "reference"):
        with use_backend(backend):
            found.append(net.generate(prompt, 20, head="categorical", seed=seed)[0])
            found.append(net.generate(torch.eye(9).double()[prompt], 20)[0])
    assert torch.equal(found[0], found[2]), (hidden_size, kernel_size, gated)
    torch.testing.assert_close(found[1], found[3], rtol=0, atol=1e-12)
print(extension.cpu_isa())
