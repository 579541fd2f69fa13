"""Half precision and autocast: computed in float32, answered in the dtype that torch.nn.LSTM answers in."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqlight.ops import lstm, reference

Arguments = Callable[..., list[Tensor]]
HALF = (torch.bfloat16, torch.float16)


def run_and_differentiate(
    tensors: list[Tensor], function: Callable[..., tuple[Tensor, ...]]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    results = function(*tensors)
    return results, torch.autograd.grad(sum(result.float().sum() for result in results), tensors)


def rounded(results: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(result.to(dtype) for result in results)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_half_precision_is_float32_rounded_at_the_end(
    device: torch.device, native_calls: object, lstm_arguments: Arguments, dtype: torch.dtype, backend: str
) -> None:
    tensors = lstm_arguments(5, 7, 3, 9, dtype=dtype, requires_grad=True)
    with native_calls as calls:
        results, gradients = run_and_differentiate(tensors, lambda *t: lstm(*t, backend=backend))
    ran = (calls["lstm_forward.float32"], calls["lstm_backward.float32"], calls.total)
    assert ran == ((1, 1, 2) if backend == "native" else (0, 0, 0))

    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    expected, expected_gradients = run_and_differentiate(exact, reference.lstm)
    unit = torch.finfo(dtype).eps
    for ours, right in zip((*results, *gradients), (*expected, *expected_gradients), strict=True):
        assert ours.dtype == dtype
        error = (ours.double() - right).abs()
        assert (error <= 0.51 * unit * right.abs() + 1e-5 * right.abs().max()).all()


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_autocast(
    device: torch.device,
    native_calls: object,
    lstm_arguments: Arguments,
    dtype: torch.dtype,
    mixed: bool,
    backend: str,
) -> None:
    tensors = lstm_arguments(5, 7, 3, 9, requires_grad=True)
    if mixed:  # as from a layer before, which has run under autocast
        tensors[0] = tensors[0].detach().to(dtype).requires_grad_()
    with native_calls as calls, torch.autocast(device.type, dtype):
        results, gradients = run_and_differentiate(tensors, lambda *t: lstm(*t, backend=backend))
    ran = (calls["lstm_forward.float32"], calls["lstm_backward.float32"], calls.total)
    assert ran == ((1, 1, 2) if backend == "native" else (0, 0, 0))
    exact = [tensor.detach().float() for tensor in tensors]
    for ours, right in zip(results, rounded(lstm(*exact, backend=backend), dtype), strict=True):
        assert ours.dtype == dtype and torch.equal(ours, right)
    assert [g.dtype for g in gradients] == [tensor.dtype for tensor in tensors]


def test_autocast_answers_as_torch_lstm_does(native: object) -> None:
    peer = torch.nn.LSTM(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    zeros = torch.zeros(2, 4)
    refused = None
    for dtype in (torch.float32, torch.float64):
        peer.to(dtype)
        arguments = (x.to(dtype), zeros.to(dtype), zeros.to(dtype), *peer.parameters())
        with torch.autocast("cpu", torch.bfloat16):
            ours = lstm(*arguments)
            try:
                output, (h_n, c_n) = peer(arguments[0])
            except RuntimeError as error:  # oneDNN has no such LSTM for a processor without AVX-512
                refused = str(error)
                assert "could not create a primitive" in refused
                output, h_n, c_n = rounded(lstm(*arguments, backend="reference"), torch.bfloat16)
                h_n, c_n = h_n[None], c_n[None]
        assert [t.dtype for t in ours] == [output.dtype, h_n.dtype, c_n.dtype]
        for result, expected in zip(ours, (output, h_n[0], c_n[0]), strict=True):
            torch.testing.assert_close(result, expected, rtol=0.05, atol=0.02)  # torch computes in bfloat16
    if refused:
        pytest.skip(
            f"compared with the reference: torch's LSTM takes no bfloat16 on this processor ({refused})"
        )
