"""Derivatives of the recurrent cells: gradcheck, second ones, torch.func; what runs and what is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

LENGTHS = torch.tensor([3, 0, 2])


@pytest.mark.parametrize(("lengths", "reverse"), [(None, False), (LENGTHS, True)], ids=["plain", "reversed"])
def test_gradcheck(device: torch.device, cell: Any, lengths: Tensor | None, reverse: bool) -> None:
    tensors = cell.arguments(3, 3, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return cell(*tensors, lengths=lengths, reverse=reverse, backend="native")

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("input_size", [1, 8], ids=["narrow", "wide"])
def test_gradcheck_with_a_row_in_each_lane(device: torch.device, cell: Any, input_size: int) -> None:
    """More rows than half a vector has lanes; the weights' gradients in both of their forms."""
    lengths = torch.tensor([2, 1, 0, 2, 2, 1, 2, 2, 2])
    tensors = cell.arguments(9, 2, input_size, 8, dtype=torch.float64, requires_grad=True)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return cell(*tensors, lengths=lengths, backend="native")

    assert torch.autograd.gradcheck(run, tensors, fast_mode=True)


@pytest.mark.parametrize(("masked", "zoneout", "seeded"), [(True, 0.3, True), (False, 0.3, False)])
def test_gradcheck_with_noise(
    device: torch.device, cell: Any, masked: bool, zoneout: float, seeded: bool
) -> None:
    tensors = cell.arguments(3, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    noise = cell.noise(3, 3, masked=masked, zoneout=zoneout, seeded=seeded)

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        return cell(*tensors, **noise, lengths=LENGTHS, reverse=True, backend="native")

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize(
    ("absent", "noisy"),
    [((), False), (("bias_ih",), False), (("bias_hh",), False), (("bias_ih", "bias_hh"), False), ((), True)],
)
def test_second_derivatives(device: torch.device, cell: Any, absent: tuple[str, ...], noisy: bool) -> None:
    tensors = cell.arguments(2, 2, 1, 2, dtype=torch.float64, requires_grad=True)
    present = [place for place, name in enumerate(cell.names) if name not in absent]
    noise = cell.noise(2, 2) if noisy else {}

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        arguments: list[Tensor | None] = [None] * len(tensors)
        for place, tensor in zip(present, given, strict=True):
            arguments[place] = tensor
        return cell(*arguments, **noise, lengths=torch.tensor([2, 1]), backend="native")

    assert torch.autograd.gradgradcheck(run, [tensors[place] for place in present])


def test_gradient_penalty_counts_in_full(device: torch.device, cell: Any) -> None:
    """The usual use of create_graph=True, where the gradient that comes in wants no gradient itself."""
    noise = cell.noise(3, 5)

    def penalty(function: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        tensors = cell.arguments(3, 4, 2, 5, dtype=torch.float64, requires_grad=True)
        output = function(*tensors, **noise)[0]
        (grad_x,) = torch.autograd.grad(output.sum(), tensors[:1], create_graph=True)
        return torch.autograd.grad((grad_x**2).sum() + output.square().sum(), tensors)

    for ours, exact in zip(penalty(cell), penalty(cell.reference), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-11)


def loss_of(
    function: Callable[..., tuple[Tensor, ...]], cell: Any, tensors: list[Tensor]
) -> Callable[..., Tensor]:
    noise = cell.noise(2, 3)

    def loss(x: Tensor, weight_hh: Tensor) -> Tensor:
        arguments = [x, *tensors[1:]]
        arguments[cell.place("weight_hh")] = weight_hh
        output, *_, last = function(*arguments, **noise)
        return output.sin().sum() + last.square().sum()

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
def test_torch_func(device: torch.device, cell: Any, transform: Callable) -> None:
    tensors = cell.arguments(2, 3, 2, 3, dtype=torch.float64)
    weight_hh = tensors[cell.place("weight_hh")]
    ours = transform(loss_of(cell, cell, tensors))(tensors[0], weight_hh)
    exact = transform(loss_of(cell.reference, cell, tensors))(tensors[0], weight_hh)
    torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-11)
    assert exact.abs().max() > 1e-3


@pytest.mark.parametrize("dim", [0, 1])
def test_vmap_and_gradients_per_sample(device: torch.device, cell: Any, dim: int) -> None:
    tensors = cell.arguments(2, 3, 2, 3, dtype=torch.float64)
    weight_hh = tensors[cell.place("weight_hh")]
    samples = torch.stack([cell.arguments(2, 3, 2, 3, dtype=torch.float64, seed=s)[0] for s in range(4)], dim)
    for transform in (lambda loss: loss, lambda loss: torch.func.grad(loss, argnums=(0, 1))):
        ours = torch.vmap(transform(loss_of(cell, cell, tensors)), (dim, None))(samples, weight_hh)
        exact = torch.vmap(transform(loss_of(cell.reference, cell, tensors)), (dim, None))(samples, weight_hh)
        torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-11)


def test_vmap_over_seeds_and_masks(device: torch.device, cell: Any) -> None:
    """As a vmapped layer draws them with ``randomness="different"``."""
    tensors = cell.arguments(2, 3, 2, 3, dtype=torch.float64)
    noises = [cell.noise(2, 3, seed=seed) for seed in range(3)]
    zoneouts = {name: noises[0][name] for name in cell.zoneout_names}

    def run(hidden_mask: Tensor, zoneout_seed: Tensor) -> Tensor:
        return cell(*tensors, hidden_mask=hidden_mask, zoneout_seed=zoneout_seed, **zoneouts)[0]

    stacked = [torch.stack([noise[name] for noise in noises]) for name in ("hidden_mask", "zoneout_seed")]
    together = torch.vmap(run)(*stacked)
    for ours, noise in zip(together, noises, strict=True):
        torch.testing.assert_close(ours, cell(*tensors, **noise)[0], rtol=0, atol=1e-14)


def test_forward_mode(device: torch.device, cell: Any) -> None:
    tensors = cell.arguments(2, 3, 2, 3, dtype=torch.float64)
    tangent = torch.ones_like(tensors[0])
    noise = cell.noise(2, 3)
    _, ours = torch.func.jvp(lambda x: cell(x, *tensors[1:], **noise)[0], (tensors[0],), (tangent,))
    _, exact = torch.func.jvp(
        lambda x: cell.reference(x, *tensors[1:], **noise)[0], (tensors[0],), (tangent,)
    )
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-12)
    assert exact.abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_native_runs_and_backward_only_where_wanted(
    device: torch.device, native_calls: Any, cell: Any, dtype: torch.dtype
) -> None:
    tensors = cell.arguments(2, 3, 2, 3, dtype=dtype, requires_grad=True)
    with native_calls as calls:
        with torch.no_grad():
            assert not cell(*tensors)[0].requires_grad
        with torch.inference_mode():
            cell(*tensors)
        frozen = [tensor.detach() for tensor in tensors]
        assert not any(result.requires_grad for result in cell(*frozen))
        frozen[-1].requires_grad_()
        cell(*frozen)[0].sum().backward()
    assert frozen[-1].grad is not None and frozen[0].grad is None
    name = str(dtype).removeprefix("torch.")
    ran = (calls[f"{cell.op}_forward.{name}"], calls[f"{cell.op}_backward.{name}"], calls.total)
    assert ran == (4, 1, 5)


def test_gradients_of_the_biases_are_not_shared(device: torch.device, cell: Any) -> None:
    named = dict(zip(cell.names, cell.arguments(2, 3, 2, 3, requires_grad=True), strict=True))
    cell(*named.values())[0].square().sum().backward()
    before = named["bias_hh"].grad.clone()
    named["bias_ih"].grad.zero_()
    assert torch.equal(named["bias_hh"].grad, before) and before.abs().max() > 0


@pytest.mark.parametrize("create_graph", [False, True])
def test_no_two_gradients_share_memory(device: torch.device, cell: Any, create_graph: bool) -> None:
    """Who takes them by torch.autograd.grad may change each in place."""
    tensors = cell.arguments(2, 3, 2, 3, requires_grad=True)
    output = cell(*tensors)[0].square().sum()
    gradients = torch.autograd.grad(output, tensors, create_graph=create_graph)
    assert len({gradient.untyped_storage().data_ptr() for gradient in gradients}) == len(tensors)


@pytest.mark.parametrize("noisy", [False, True])
def test_kept_for_backward(native: object, cell: Any, noisy: bool) -> None:
    """Output and saved, in units of H floats per row and step; no argument is copied."""
    tensors = cell.arguments(4, 6, 2, 8, requires_grad=True)
    noise = cell.noise(4, 8) if noisy else {}
    if noisy:
        noise["hidden_mask"] = noise["hidden_mask"].float()
    own = {
        tensor.untyped_storage().data_ptr()
        for tensor in (*tensors, *noise.values())
        if torch.is_tensor(tensor)
    }
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = cell(*tensors, **noise)
    assert result[0].requires_grad
    plain_rnn = 3 if noisy else 2
    allowed = {"lstm": (6, 10.5), "gru": (6, 8.5), "rnn": (plain_rnn, 3.125)}[cell.op][cell.layer_norm]
    assert 0 < sum(kept.values()) <= allowed * 8 * 4 * 6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_half_precision_is_float32_rounded_at_the_end(
    device: torch.device, native_calls: Any, cell: Any, dtype: torch.dtype, autocast: bool, backend: str
) -> None:
    tensors = cell.arguments(5, 7, 3, 9, dtype=torch.float32 if autocast else dtype, requires_grad=True)
    noise = cell.noise(5, 9)
    with native_calls as calls, torch.autocast(device.type, dtype, enabled=autocast):
        results = cell(*tensors, **noise, backend=backend)
        gradients = torch.autograd.grad(sum(result.float().sum() for result in results), tensors)
    ran = (calls[f"{cell.op}_forward.float32"], calls[f"{cell.op}_backward.float32"], calls.total)
    assert ran == ((1, 1, 2) if backend == "native" else (0, 0, 0))
    exact = [tensor.detach().float() for tensor in tensors]
    for ours, right in zip(results, cell(*exact, **noise, backend=backend), strict=True):
        assert ours.dtype == dtype and torch.equal(ours, right.to(dtype))
    assert [gradient.dtype for gradient in gradients] == [tensor.dtype for tensor in tensors]
