"""Run by a test in a process of its own: holds the native recurrent cells against the float64 reference.

Prints the instruction set that the kernels ran with, and exits with an error where a result is wrong.
"""

import itertools

import torch
from recurrent_cells import CELLS

from seqlight import _extension

extension = _extension.extension
assert extension is not None, _extension.build_info()
torch.set_num_threads(1)
sizes = itertools.product(CELLS, (1, 9, 17), (3,), (1, 5), (6, 17, 33))
for count, (cell, *sizes_of_call) in enumerate(sizes):
    batch_size, steps, _, hidden_size = sizes_of_call
    torch.manual_seed(count)
    tensors = cell.arguments(*sizes_of_call, dtype=torch.float64, seed=count)
    noise = cell.noise(batch_size, hidden_size, seed=count) if count % 3 == 0 else {}
    lengths = torch.randint(steps + 1, (batch_size,)) if count % 2 else None
    call = {**noise, "lengths": lengths, "reverse": count % 4 > 1}
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        if cell.layer_norm:
            tolerance *= 300  # the most that its division magnifies errors
        leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
        ours, right = cell(*leaves, **call, backend="native"), cell.reference(*exact, **call)
        gradients = torch.autograd.grad(sum(result.sin().sum() for result in ours), leaves)
        expected = torch.autograd.grad(sum(result.sin().sum() for result in right), exact)
        names = (*cell.result_names, *cell.names)
        for name, found, value in zip(names, (*ours, *gradients), (*right, *expected), strict=True):
            error = (found - value).abs().max() / value.abs().max().clamp(min=0.1)
            assert error < tolerance, (str(cell), sizes_of_call, dtype, name, error.item())
print(extension.cpu_isa())
