"""FlashRNN as a peer of the plain LSTM, where its package `flashrnn` is installed.

Its "lstm" is the cell of torch.nn.LSTM with one bias instead of two: gates i, f, g, o, states h, c. It takes
the products with the input, and recurrent weights by heads; one head as wide as the layer is a full matrix.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import gpu_flashrnn_kernels as kernels
import torch
from torch import Tensor
from torch.nn.functional import linear

from seqlight.benchmark.peers import Case, Peer, Problem, Runner
from seqlight.benchmark.recurrent_case import parse_cases
from seqlight.benchmark.recurrent_cells import GATE_WEIGHTS, case_of

#: Batch, length and widths of a head like those of its own benchmark, here with one head.
CASES = parse_cases(
    "16,1024,64,64", "16,1024,128,128", "16,1024,256,256", "16,1024,512,512", "16,1024,768,768"
)
#: One kernel for all time steps; a product and a pointwise kernel for each; one kernel written in Triton.
BACKENDS = ("cuda_fused", "cuda", "triton_fused")
TRITON_WIDTH = 64


def flashrnn_peers(*backends: str) -> tuple[Peer, ...]:
    """A peer for each of FlashRNN's backends."""
    return tuple(
        Peer(
            f"flashrnn-{backend}",
            f"FlashRNN {backend}",
            "plain",
            partial(build, backend=backend),
            unfit=partial(unfit, backend=backend),
        )
        for backend in backends
    )


def unfit(case: Case, mode: str, *, backend: str) -> str | None:
    """Why a backend takes no part."""
    if find_spec("flashrnn") is None:
        return "flashrnn is not installed"
    if backend == "triton_fused" and case.shape["H"] > TRITON_WIDTH:
        return f"heads of at most {TRITON_WIDTH}, by its documentation"
    return None


def build(problem: Problem, *, backend: str) -> Runner:
    """Ready to run, with the kernels that were made before."""
    runner = make_runner(problem, backend)
    if backend in BACKENDS:
        with kernels.loaded(backend, case_of(problem)), torch.no_grad():
            runner.forward(problem.x)  # the first call takes them up
    return runner


def make_runner(problem: Problem, backend: str) -> Runner:
    """The weights of a problem and FlashRNN's function."""
    weights = {name: problem.weights[name].clone().requires_grad_() for name in GATE_WEIGHTS}
    function = import_module("flashrnn").flashrnn
    return Runner(partial(lstm, weights=weights, function=function, backend=backend), weights)


def lstm(x: Tensor, *, weights: dict[str, Tensor], function: Callable[..., Tensor], backend: str) -> Tensor:
    """x [B, T, I] and weights as torch.nn.LSTM has them, through FlashRNN's `function`, to output [B, T, H].

    FlashRNN takes the products with the input [B, T, 4, heads, width], recurrent weights [4, heads, width of
    the result, width of h] and biases [4, heads, width]; it gives the states [h and c, B, T, heads, width].
    """
    if backend == "cuda" and x.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError("it waits for the device within a call, which a capture does not survive")
    weight_ih, weight_hh, bias_ih, bias_hh = (weights[name] for name in GATE_WEIGHTS)
    width = weight_hh.shape[1]
    states, _ = function(
        linear(x, weight_ih).view(*x.shape[:2], 4, 1, width),
        weight_hh.view(4, 1, width, width),
        (bias_ih + bias_hh).view(4, 1, width),
        function="lstm",
        backend=backend,
        dtype=str(x.dtype).removeprefix("torch."),
    )
    return states[0, :, :, 0]
