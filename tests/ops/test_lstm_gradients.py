"""Derivatives: gradcheck, second ones, torch.func, forward mode; what runs and is kept for backward."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqlight.ops import lstm, reference

Arguments = Callable[..., list[Tensor]]
LENGTHS = torch.tensor([3, 0, 2])


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_gradcheck(
    native: object, lstm_arguments: Arguments, lengths: Tensor | None, reverse: bool, backend: str
) -> None:
    tensors = lstm_arguments(3, 3, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return lstm(*tensors, lengths=lengths, reverse=reverse, backend=backend)

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("absent", [(), (5,), (6,), (5, 6, 7)])
def test_second_derivatives(native: object, lstm_arguments: Arguments, absent: tuple[int, ...]) -> None:
    tensors = lstm_arguments(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    present = [index for index in range(8) if index not in absent]

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        arguments: list[Tensor | None] = [None] * 8
        for index, tensor in zip(present, given, strict=True):
            arguments[index] = tensor
        return lstm(*arguments, lengths=torch.tensor([2, 0, 1]), backend="native")

    assert torch.autograd.gradgradcheck(run, [tensors[index] for index in present])


def test_gradient_penalty_counts_in_full(native: object, lstm_arguments: Arguments) -> None:
    """The usual use of create_graph=True, where the gradient that comes in wants no gradient itself."""

    def penalty(function: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        tensors = lstm_arguments(3, 4, 2, 5, dtype=torch.float64, requires_grad=True)
        output = function(*tensors)[0]
        (grad_x,) = torch.autograd.grad(output.sum(), tensors[:1], create_graph=True)
        return torch.autograd.grad((grad_x**2).sum() + output.square().sum(), tensors)

    for ours, exact in zip(penalty(lstm), penalty(reference.lstm), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)


def loss_of(function: Callable[..., tuple[Tensor, ...]], tensors: list[Tensor]) -> Callable[..., Tensor]:
    def loss(x: Tensor, weight_hh: Tensor) -> Tensor:
        output, _, c_n = function(x, *tensors[1:4], weight_hh, *tensors[5:])
        return output.sin().sum() + c_n.square().sum()

    return loss


@pytest.mark.parametrize(
    "transform",
    [
        torch.func.grad,
        lambda loss: torch.func.grad(loss, argnums=1),
        torch.func.hessian,
        lambda loss: torch.func.jacrev(torch.func.jacrev(loss, argnums=1), argnums=0),
        lambda loss: torch.func.jacfwd(loss, argnums=1),
    ],
    ids=["grad x", "grad weight", "hessian", "jacrev of jacrev", "jacfwd"],
)
def test_torch_func(native: object, lstm_arguments: Arguments, transform: Callable) -> None:
    tensors = lstm_arguments(2, 3, 2, 3, dtype=torch.float64)
    ours = transform(loss_of(lstm, tensors))(tensors[0], tensors[4])
    exact = transform(loss_of(reference.lstm, tensors))(tensors[0], tensors[4])
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)
    assert exact.abs().max() > 1e-3


@pytest.mark.parametrize("dim", [0, 1])
def test_vmap_and_gradients_per_sample(native: object, lstm_arguments: Arguments, dim: int) -> None:
    tensors = lstm_arguments(2, 3, 2, 3, dtype=torch.float64)
    samples = torch.stack([lstm_arguments(2, 3, 2, 3, dtype=torch.float64, seed=s)[0] for s in range(4)], dim)
    for transform in (lambda loss: loss, lambda loss: torch.func.grad(loss, argnums=(0, 1))):
        ours = torch.vmap(transform(loss_of(lstm, tensors)), (dim, None))(samples, tensors[4])
        exact = torch.vmap(transform(loss_of(reference.lstm, tensors)), (dim, None))(samples, tensors[4])
        torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)


def test_forward_mode(native: object, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(2, 3, 2, 3, dtype=torch.float64)
    tangent = torch.ones_like(tensors[0])
    _, ours = torch.func.jvp(lambda x: lstm(x, *tensors[1:])[0], (tensors[0],), (tangent,))
    _, exact = torch.func.jvp(lambda x: reference.lstm(x, *tensors[1:])[0], (tensors[0],), (tangent,))
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)
    assert exact.abs().max() > 1e-3


def test_backward_runs_only_where_wanted(native_calls: object, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(2, 3, 2, 3, requires_grad=True)
    with native_calls as calls:
        with torch.no_grad():
            assert not lstm(*tensors)[0].requires_grad
        with torch.inference_mode():
            lstm(*tensors)
        frozen = [tensor.detach() for tensor in tensors]
        assert not any(result.requires_grad for result in lstm(*frozen))
        frozen[7].requires_grad_()
        lstm(*frozen)[0].sum().backward()
    assert frozen[7].grad is not None and frozen[0].grad is None
    assert (calls["lstm_forward.float32"], calls["lstm_backward.float32"]) == (4, 1)


def test_same_gradient_for_both_biases_is_not_shared(native: object, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(2, 3, 2, 3, requires_grad=True)
    lstm(*tensors)[0].sum().backward()
    before = tensors[6].grad.clone()
    tensors[5].grad.zero_()
    assert torch.equal(tensors[6].grad, before) and before.abs().max() > 0


def test_kept_for_backward(native: object, lstm_arguments: Arguments) -> None:
    """At most 6*H floats per row and step: output and saved; the arguments are the caller's own memory."""
    tensors = lstm_arguments(4, 6, 2, 8, requires_grad=True)
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = lstm(*tensors)
    assert result[0].requires_grad
    assert 0 < sum(kept.values()) <= 6 * 8 * 4 * 6
