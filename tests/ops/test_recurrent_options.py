"""What layer norm, recurrent dropout and zoneout mean, told by cells written anew with torch's layer_norm."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from seqlight.ops import philox

BATCH, STEPS, INPUTS, HIDDEN = 4, 7, 3, 5


def norm(values: Tensor, gain: Tensor, bias: Tensor | None = None) -> Tensor:
    return layer_norm(values, values.shape[-1:], gain.flatten(), bias)


def lstm_step(
    x: Tensor, seen: Tensor, h: Tensor, c: Tensor, weights: dict[str, Tensor]
) -> tuple[Tensor, ...]:
    """The LSTM of Ba et al. (2016), with peepholes; `seen` is what the recurrent product sees of h."""
    rows, peephole = weights["weight_layer_norm"], weights["weight_peephole"]
    i, f, g, o = (
        norm(linear(x, weights["weight_ih"]), rows[:4], weights["bias_ih"])
        + norm(linear(seen, weights["weight_hh"]), rows[4:8], weights["bias_hh"])
    ).chunk(4, dim=1)
    next_c = torch.sigmoid(f + peephole[1] * c) * c + torch.sigmoid(i + peephole[0] * c) * torch.tanh(g)
    next_h = torch.sigmoid(o + peephole[2] * next_c) * torch.tanh(norm(next_c, rows[8], rows[9]))
    return next_h, next_c


def gru_step(x: Tensor, seen: Tensor, h: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The GRU of Ba et al. (2016), with torch.nn.GRU's place of the reset gate."""
    rows, gates = weights["weight_layer_norm"], 2 * HIDDEN
    bias_ih, bias_hh = weights["bias_ih"], weights["bias_hh"]
    of_x, of_h = linear(x, weights["weight_ih"]), linear(seen, weights["weight_hh"])
    r, z = torch.sigmoid(
        norm(of_x[:, :gates], rows[:2], bias_ih[:gates]) + norm(of_h[:, :gates], rows[3:5], bias_hh[:gates])
    ).chunk(2, dim=1)
    new_h = norm(of_h[:, gates:], rows[5], bias_hh[gates:])
    n = torch.tanh(norm(of_x[:, gates:], rows[2], bias_ih[gates:]) + r * new_h)
    return ((1 - z) * n + z * h,)


def rnn_step(
    x: Tensor, seen: Tensor, h: Tensor, weights: dict[str, Tensor], nonlinearity: str
) -> tuple[Tensor, ...]:
    """The sum that torch.nn.RNNCell activates, normalised first."""
    total = linear(x, weights["weight_ih"], weights["bias_ih"])
    total = total + linear(seen, weights["weight_hh"], weights["bias_hh"])
    gain, bias = weights["weight_layer_norm"]
    return (getattr(torch, nonlinearity)(norm(total, gain, bias)),)


def run_by_hand(cell: Any, tensors: list[Tensor], noise: dict[str, Any]) -> tuple[Tensor, ...]:
    """Run the cell step by step, with a mask, and zoneout by the words of its seed or in expectation."""
    named = dict(zip(cell.names, tensors, strict=True))
    x = named.pop("x")
    states = tuple(named.pop(name) for name in cell.state_names)
    step = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}[cell.op]
    mask = noise.get("hidden_mask", 1.0)
    outputs = []
    for t in range(x.shape[1]):
        after = step(x[:, t], states[0] * mask, *states, named, **cell.options)
        mixed = []
        for number, name in enumerate(cell.zoneout_names):
            p = noise.get(name, 0.0)
            kept = kept_units(noise["zoneout_seed"], t, p)[number] if "zoneout_seed" in noise else p
            mixed.append(kept * states[number] + (1 - kept) * after[number])
        states = tuple(mixed)
        outputs.append(states[0])
    return torch.stack(outputs, dim=1), *states


def kept_units(seed: Tensor, t: int, probability: float) -> list[Tensor]:
    """Which units keep the hidden and the cell state at step t: [B, H] of 0 and 1, word by word."""
    kept = torch.zeros(2, BATCH, HIDDEN, dtype=torch.float64)
    for row in range(BATCH):
        for unit in range(HIDDEN):
            for state, word in enumerate(philox.philox4x32(seed, (unit, t, row, 0))[:2]):
                kept[state, row, unit] = int(word) < int(probability * 2**32)
    return list(kept)


@pytest.mark.parametrize("kind", ["plain", "drawn", "expected"])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_equals_cells_of_torch_layer_norm(
    device: torch.device, norm_cell: Any, kind: str, backend: str
) -> None:
    cell = norm_cell
    noise = {} if kind == "plain" else cell.noise(BATCH, HIDDEN, seeded=kind == "drawn")
    found = []
    for run in (
        lambda *tensors: run_by_hand(cell, list(tensors), noise),
        lambda *tensors: cell(*tensors, **noise, backend=backend),
    ):
        tensors = cell.arguments(BATCH, STEPS, INPUTS, HIDDEN, dtype=torch.float64, requires_grad=True)
        results = run(*tensors)
        loss = sum(result.sin().sum() for result in results)
        found.append((*results, *torch.autograd.grad(loss, tensors)))
    for by_hand, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, by_hand, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_mask_hides_units_from_the_recurrent_product_alone(
    device: torch.device, cell: Any, backend: str
) -> None:
    """With weight_hh and the state both masked by hand, a step gives the same; so a mask of ones is none."""
    named = dict(zip(cell.names, cell.arguments(BATCH, 1, INPUTS, HIDDEN, dtype=torch.float64), strict=True))
    mask = cell.noise(BATCH, HIDDEN)["hidden_mask"][:1]
    masked = cell(*named.values(), hidden_mask=mask.expand(BATCH, -1), backend=backend)
    weight_hh = named["weight_hh"] * mask
    by_hand = cell(*{**named, "weight_hh": weight_hh}.values(), backend=backend)
    plain = cell(*named.values(), backend=backend)
    torch.testing.assert_close(masked, by_hand, rtol=0, atol=1e-13)
    assert (masked[0] - plain[0]).abs().max() > 1e-3
    ones = cell(*named.values(), hidden_mask=torch.ones(BATCH, HIDDEN), backend=backend)
    torch.testing.assert_close(ones, plain, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
def test_same_seed_same_result(device: torch.device, cell: Any, reverse: bool) -> None:
    tensors = cell.arguments(19, 9, 3, 20)

    def run(seed: int, rows: int = 19) -> Tensor:
        of_rows = [
            t[:rows] if n in ("x", *cell.state_names) else t for n, t in zip(cell.names, tensors, strict=True)
        ]
        noise = cell.noise(19, 20, masked=False, seed=seed)
        return cell(*of_rows, **noise, reverse=reverse, backend="native")[0]

    assert torch.equal(run(1), run(1))
    assert (run(1) != run(2)).any()
    # The words depend on the row, not on how many there are or how they are shared out.
    torch.testing.assert_close(run(1)[:5], run(1, rows=5), rtol=0, atol=1e-5)


def test_zoneout_keeps_the_promised_share(device: torch.device, cell: Any) -> None:
    """Exactly the previous state, in that share of units and steps, drawn anew in each of them."""
    batch_size, steps, hidden_size, p = 40, 50, 30, 0.25
    tensors = cell.arguments(batch_size, steps, 3, hidden_size, dtype=torch.float64)
    zoneouts = dict.fromkeys(cell.zoneout_names, p)
    output = cell(*tensors, **zoneouts, zoneout_seed=torch.tensor([3]), backend="native")[0]
    before = torch.cat([tensors[1][:, None], output[:, :-1]], dim=1)
    kept = (output == before).double()
    if cell.options.get("nonlinearity") == "relu":
        kept = kept[(before > 0)]  # zero may follow zero
    spread = (p * (1 - p) / kept.numel()) ** 0.5
    assert kept.mean().item() == pytest.approx(p, abs=5 * spread)


def test_a_seed_without_zoneout_changes_nothing(device: torch.device, cell: Any) -> None:
    tensors = cell.arguments(4, 5, 3, 6)
    for backend in ("native", "reference"):
        plain = cell(*tensors, backend=backend)
        seeded = cell(*tensors, zoneout_seed=torch.tensor([3]), backend=backend)
        for ours, expected in zip(seeded, plain, strict=True):
            assert torch.equal(ours, expected)
