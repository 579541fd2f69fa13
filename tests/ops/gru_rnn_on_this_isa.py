"""Run by a test in a process of its own: holds the native GRU and simple RNN against the float64 reference.

Prints the instruction set that the kernels ran with, and exits with an error where a result is wrong.
"""

import itertools

import torch

from seqlight import _extension
from seqlight.ops import gru, reference, rnn

extension = _extension.extension
assert extension is not None, _extension.build_info()
torch.set_num_threads(1)
cells = (
    (gru, reference.gru, 3, {}),
    (rnn, reference.rnn, 1, {"nonlinearity": "tanh"}),
    (rnn, reference.rnn, 1, {"nonlinearity": "relu"}),
)
sizes = itertools.product(cells, (1, 7, 9, 17), (4,), (1, 5), (1, 6, 17, 33))
for count, ((native, exactly, gates, options), batch_size, steps, input_size, hidden_size) in enumerate(
    sizes
):
    torch.manual_seed(count)
    scale = hidden_size**-0.5
    tensors = [
        torch.randn(batch_size, steps, input_size, dtype=torch.float64),
        torch.randn(batch_size, hidden_size, dtype=torch.float64),
        scale * torch.randn(gates * hidden_size, input_size, dtype=torch.float64),
        scale * torch.randn(gates * hidden_size, hidden_size, dtype=torch.float64),
        scale * torch.randn(gates * hidden_size, dtype=torch.float64),
        scale * torch.randn(gates * hidden_size, dtype=torch.float64),
    ]
    lengths = torch.randint(steps + 1, (batch_size,)) if count % 2 else None
    call = {**options, "lengths": lengths, "reverse": count % 4 > 1}
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
        ours, right = native(*leaves, **call, backend="native"), exactly(*exact, **call)
        gradients = torch.autograd.grad(sum(result.sin().sum() for result in ours), leaves)
        expected = torch.autograd.grad(sum(result.sin().sum() for result in right), exact)
        for number, (found, value) in enumerate(zip((*ours, *gradients), (*right, *expected), strict=True)):
            error = (found - value).abs().max() / value.abs().max().clamp(min=0.1)
            where = (native.__name__, options, batch_size, input_size, hidden_size, dtype, number)
            assert error < tolerance, (*where, error.item())
print(extension.cpu_isa())
