"""Derivatives of the causal convolution: gradcheck, second ones, torch.func; what runs and is kept."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from seqlight.ops import causal_conv1d
from seqlight.ops.causal_conv1d_reference import causal_conv1d as reference

ACTIVATIONS = (None, "relu", "gate")


def arguments(
    *, steps: int = 5, groups: int = 1, dtype: torch.dtype = torch.float64, requires_grad: bool = False
) -> list[Tensor]:
    """x, weight, bias, state for 2 sequences, 4 channels, kernel size 3, dilation 2."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, steps, 4), (4, 4 // groups, 3), (4,), (2, 4, 4))
    drawn = (torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu") for shape in shapes)
    return [tensor.to(torch.get_default_device(), dtype).requires_grad_(requires_grad) for tensor in drawn]


def run(
    function: Callable, tensors: tuple[Tensor, ...] | list[Tensor], **options: Any
) -> tuple[Tensor, Tensor]:
    x, weight, bias, state = tensors
    return function(x, weight, bias, dilation=2, state=state, **options)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("steps", [1, 5])
def test_first_and_second_derivatives(
    device: torch.device, activation: str | None, groups: int, steps: int
) -> None:
    tensors = arguments(steps=steps, groups=groups, requires_grad=True)

    def function(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return run(causal_conv1d, tensors, groups=groups, activation=activation, backend="native")

    assert torch.autograd.gradcheck(function, tensors)
    if steps == 5:
        assert torch.autograd.gradgradcheck(function, tensors)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_penalty_counts_in_full(device: torch.device, activation: str | None) -> None:
    """The usual use of create_graph=True, where the gradient that comes in wants no gradient itself."""

    def penalty(function: Callable) -> tuple[Tensor, ...]:
        tensors = arguments(requires_grad=True)
        output, _ = run(function, tensors, activation=activation)
        (grad_x,) = torch.autograd.grad(output.sum(), tensors[:1], create_graph=True)
        return torch.autograd.grad((grad_x**2).sum() + output.square().sum(), tensors)

    for ours, exact in zip(penalty(causal_conv1d), penalty(reference), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)


def loss_of(function: Callable, tensors: list[Tensor]) -> Callable[..., Tensor]:
    def loss(x: Tensor, weight: Tensor) -> Tensor:
        output, state = run(function, [x, weight, *tensors[2:]], activation="gate")
        return output.sin().sum() + state.square().sum()

    return loss


@pytest.mark.parametrize(
    "transform",
    [
        torch.func.grad,
        lambda loss: torch.func.grad(loss, argnums=1),
        torch.func.hessian,
        lambda loss: torch.func.jacfwd(loss, argnums=1),
    ],
    ids=["grad x", "grad weight", "hessian", "jacfwd"],
)
def test_torch_func(device: torch.device, transform: Callable) -> None:
    tensors = arguments()
    ours = transform(loss_of(causal_conv1d, tensors))(*tensors[:2])
    exact = transform(loss_of(reference, tensors))(*tensors[:2])
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)
    assert exact.abs().max() > 1e-3


def test_vmap_and_gradients_per_sample(device: torch.device) -> None:
    tensors = arguments()
    samples = torch.stack([tensors[0] + number for number in range(3)])
    for transform in (lambda loss: loss, lambda loss: torch.func.grad(loss, argnums=(0, 1))):
        ours = torch.vmap(transform(loss_of(causal_conv1d, tensors)), (0, None))(samples, tensors[1])
        exact = torch.vmap(transform(loss_of(reference, tensors)), (0, None))(samples, tensors[1])
        torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)


def test_backward_runs_only_where_wanted(device: torch.device, native_calls: Any) -> None:
    tensors = arguments(dtype=torch.float32, requires_grad=True)
    with native_calls as calls:
        with torch.no_grad():
            assert not run(causal_conv1d, tensors)[0].requires_grad
        with torch.inference_mode():
            run(causal_conv1d, tensors)
        frozen = [tensor.detach() for tensor in tensors]
        assert not any(result.requires_grad for result in run(causal_conv1d, frozen))
        frozen[2].requires_grad_()
        run(causal_conv1d, frozen, activation="gate")[0].sum().backward()
    assert frozen[2].grad is not None and frozen[0].grad is None
    counts = calls["causal_conv1d_forward.float32"], calls["causal_conv1d_backward.float32"]
    assert counts == (4, 1)


@pytest.mark.parametrize("wanted", range(4))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_gradient_alone(device: torch.device, wanted: int, activation: str | None) -> None:
    found = []
    for function in (causal_conv1d, reference):
        tensors = arguments()
        tensors[wanted].requires_grad_()
        output, state = run(function, tensors, activation=activation)
        found.append(
            torch.autograd.grad(output.sin().sum() + state.sum() * (wanted in (0, 3)), tensors[wanted])
        )
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)


def test_gradient_of_the_state_alone(device: torch.device) -> None:
    found = []
    for function in (causal_conv1d, reference):
        tensors = arguments(steps=3, requires_grad=True)
        _, state = run(function, tensors, activation="gate")
        found.append(torch.autograd.grad(state.sin().sum(), (tensors[0], tensors[3])))
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("activation", "floats_per_output"), [(None, 0), ("relu", 1), ("gate", 2)])
def test_kept_for_backward(native: ModuleType, activation: str | None, floats_per_output: int) -> None:
    """Nothing without activation, the output itself for relu, both activated halves for the gate."""
    tensors = arguments(steps=50, requires_grad=True)
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output, _ = run(causal_conv1d, tensors, activation=activation, backend="native")
    assert sum(kept.values()) == floats_per_output * output.numel()
