"""The recurrent families: cases [B, T, I] -> [B, T, H] and every implementation compared."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from seqlight.benchmark import recurrent_loops as loops
from seqlight.benchmark.peers import Case, Peer, Problem, Runner
from seqlight.benchmark.recurrent_case import RecurrentCase, parse_cases
from seqlight.benchmark.recurrent_cells import (
    GATE_WEIGHTS,
    GRU_CELL,
    LSTM_CELL,
    RNN_CELL,
    Cell,
    case_of,
    kept_unit,
    layer_options,
    weight_names,
)
from seqlight.benchmark.suite import Family, Section

UNROLL_LIMIT = 100
"""Longest sequence that torch.compile is given: it compiles every step of the unrolled loop."""

SCRIPT_LIMIT = 10_000_000_000
"""Operations of a forward pass from which torch.jit.script is left out, to save time: products are nearly all
there is to do, and it takes as long as the eager loop."""

LONG = 30_000_000_000
"""Operations of a forward pass from which a case is measured at the largest number of threads only."""

Loop = Callable[..., Tensor]


def seqlight_peer(name: str, cell: Cell, variant: str, *, packed: bool = False) -> Peer:
    """Our layer with the options of a variant, its weights packed ahead or not."""
    label = f"seqlight {variant}" + (", packed" if packed else "")
    return Peer(name, label, variant, lambda p: _build_seqlight(p, cell, variant, packed=packed), ours=True)


def torch_peer(cell: Cell) -> Peer:
    """The layer of torch.nn."""
    name = cell.torch_layer.__name__
    return Peer(f"torch-{name.lower()}", f"torch.nn.{name}", "plain", lambda p: _build_torch(p, cell))


def loop_peers(cell: Cell, variant: str, loop: Loop) -> tuple[Peer, ...]:
    """A loop over time run eagerly, by torch.jit.script and, unrolled, by torch.compile."""

    def built(transform: Callable[[Loop], Loop]) -> Callable[[Problem], Runner]:
        return lambda problem: _build_loop(problem, cell, variant, transform(loop))

    def few_operations(case: Case, mode: str) -> str | None:
        if isinstance(case, RecurrentCase) and cell.flops(case, "forward") >= SCRIPT_LIMIT:
            return f"left out from {SCRIPT_LIMIT:.0e} operations on, where it takes as long as the eager loop"
        return None

    return (
        Peer("eager", "eager loop", variant, built(lambda same: same)),
        Peer("jit", "torch.jit.script", variant, built(_script), unfit=few_operations),
        Peer("compile", "torch.compile", variant, built(_compile), unfit=_short_enough, compiles=True),
    )


def _build_seqlight(problem: Problem, cell: Cell, variant: str, *, packed: bool) -> Runner:
    case = case_of(problem)
    layer = cell.layer(case.input_size, case.hidden_size, **layer_options(variant))
    weights = _load(layer, problem, weight_names(variant), suffix="_l0")
    held = ExitStack()
    if packed:
        held.enter_context(layer.packed())
    if not case.stream:
        return Runner(lambda x: layer(x)[0], weights, held.close)
    states = tuple(part.unsqueeze(0) for part in problem.state)
    state = states if len(states) > 1 else states[0]
    return Runner(lambda x: layer.step(x[:, 0], state)[0], weights, held.close)


def _build_torch(problem: Problem, cell: Cell) -> Runner:
    case = case_of(problem)
    layer = cell.torch_layer(case.input_size, case.hidden_size, batch_first=True)
    states = tuple(part.unsqueeze(0) for part in problem.state)
    state = states if len(states) > 1 else (states or (None,))[0]
    return Runner(lambda x: layer(x, state)[0], _load(layer, problem, GATE_WEIGHTS, suffix="_l0"))


def _build_torch_lstm_cell(problem: Problem) -> Runner:
    case = case_of(problem)
    cell = nn.LSTMCell(case.input_size, case.hidden_size)
    h, c = problem.state
    return Runner(lambda x: cell(x[:, 0], (h, c))[0], _load(cell, problem, GATE_WEIGHTS))


def _build_loop(problem: Problem, cell: Cell, variant: str, loop: Loop) -> Runner:
    weights = {name: problem.weights[name].clone().requires_grad_() for name in weight_names(variant)}
    values = list(weights.values())
    states = cell.initial_states(problem)
    return Runner(lambda x: loop(x, *states, *values), weights)


def _load(layer: nn.Module, problem: Problem, names: Sequence[str], suffix: str = "") -> dict[str, Tensor]:
    """Copy the problem's weights into a layer; its parameters by the problem's names."""
    parameters = dict(layer.named_parameters())
    with torch.no_grad():
        return {name: parameters[name + suffix].copy_(problem.weights[name]) for name in names}


def _script(loop: Loop) -> Loop:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*torch.jit.script.* is deprecated", category=DeprecationWarning
        )
        scripted: Loop = torch.jit.script(loop)
        return scripted


def _compile(loop: Loop) -> Loop:
    torch._dynamo.reset()  # graphs of earlier cases would count towards the recompilation limit
    return torch.compile(loop, fullgraph=True, dynamic=False)


def _short_enough(case: Case, mode: str) -> str | None:
    if case.shape["T"] > UNROLL_LIMIT:
        return f"not compiled beyond T = {UNROLL_LIMIT}"
    return None


def _step_only(case: Case, mode: str) -> str | None:
    return None if isinstance(case, RecurrentCase) and case.stream else ""


def _family(
    name: str,
    cell: Cell,
    peers: Sequence[Peer],
    baseline: str,
    *,
    costs: Sequence[tuple[str, str]] = (),
    training: bool = True,
    notes: Sequence[str] = (),
) -> Family[RecurrentCase]:
    return Family(
        name=name,
        baseline=baseline,
        peers=peers,
        make_problem=cell.make_problem,
        reference=cell.reference,
        flops=cell.flops,
        kept_unit=kept_unit,
        has_training=lambda case: training,
        is_long=lambda case: cell.flops(case, "forward") >= LONG,
        costs=costs,
        notes=(
            "Recurrent layers take and give [B, T, features] and count 2 B T G H (I + H) operations forward "
            "(G = 4 for an LSTM, 3 for a GRU, 1 for an RNN), three times that in training. Cases of more "
            f"than {LONG:.0e} operations forward are measured at the largest number of threads only.",
            *notes,
        ),
    )


LSTM_FAMILY = _family(
    "LSTM",
    LSTM_CELL,
    (
        seqlight_peer("seqlight-peephole", LSTM_CELL, "peephole"),
        seqlight_peer("seqlight-plain", LSTM_CELL, "plain"),
        seqlight_peer("seqlight-layer-norm", LSTM_CELL, "layer norm"),
        torch_peer(LSTM_CELL),
        *loop_peers(LSTM_CELL, "peephole", loops.peephole_lstm),
    ),
    "torch-lstm",
    costs=(("seqlight-peephole", "seqlight-plain"), ("seqlight-layer-norm", "seqlight-plain")),
    notes=("torch.nn.LSTM runs oneDNN's LSTM, which has neither peepholes nor layer normalisation.",),
)

LAYER_NORM_LSTM_FAMILY = _family(
    "layer-norm LSTM",
    LSTM_CELL,
    (
        seqlight_peer("seqlight-layer-norm-peephole", LSTM_CELL, "peephole + layer norm"),
        seqlight_peer("seqlight-plain", LSTM_CELL, "plain"),
        torch_peer(LSTM_CELL),
        *loop_peers(LSTM_CELL, "peephole + layer norm", loops.layer_norm_peephole_lstm),
    ),
    "torch-lstm",
    costs=(("seqlight-layer-norm-peephole", "seqlight-plain"),),
)

GRU_FAMILY = _family(
    "GRU",
    GRU_CELL,
    (
        seqlight_peer("seqlight-plain", GRU_CELL, "plain"),
        seqlight_peer("seqlight-layer-norm", GRU_CELL, "layer norm"),
        torch_peer(GRU_CELL),
        *loop_peers(GRU_CELL, "plain", loops.gru),
    ),
    "torch-gru",
    costs=(("seqlight-layer-norm", "seqlight-plain"),),
)

RNN_FAMILY = _family(
    "RNN",
    RNN_CELL,
    (
        seqlight_peer("seqlight-plain", RNN_CELL, "plain"),
        torch_peer(RNN_CELL),
        *loop_peers(RNN_CELL, "plain", loops.rnn),
    ),
    "torch-rnn",
)

LAYER_NORM_RNN_FAMILY = _family(
    "layer-norm RNN",
    RNN_CELL,
    (
        seqlight_peer("seqlight-layer-norm", RNN_CELL, "layer norm"),
        seqlight_peer("seqlight-plain", RNN_CELL, "plain"),
        torch_peer(RNN_CELL),
        *loop_peers(RNN_CELL, "layer norm", loops.layer_norm_rnn),
    ),
    "eager",
    costs=(("seqlight-layer-norm", "seqlight-plain"),),
    notes=(
        "torch.nn has no layer-normalised cell: its plain layer stands beside as a yardstick, and the speed "
        "of the layer-norm RNN is told against the eager loop.",
    ),
)

PACKED_FAMILY = _family(
    "packed",
    LSTM_CELL,
    (
        seqlight_peer("seqlight-peephole-packed", LSTM_CELL, "peephole", packed=True),
        seqlight_peer("seqlight-peephole", LSTM_CELL, "peephole"),
        seqlight_peer("seqlight-plain-packed", LSTM_CELL, "plain", packed=True),
        seqlight_peer("seqlight-plain", LSTM_CELL, "plain"),
        torch_peer(LSTM_CELL),
        Peer("torch-cell", "torch.nn.LSTMCell", "plain", _build_torch_lstm_cell, unfit=_step_only),
    ),
    "torch-lstm",
    costs=(
        ("seqlight-peephole-packed", "seqlight-peephole"),
        ("seqlight-plain-packed", "seqlight-plain"),
    ),
    training=False,
    notes=(
        "'packed' is inside `with layer.packed():`; the packing itself, done once, is not timed. ':step' is "
        "one streaming step with the state handed in.",
    ),
)

RECURRENT_SECTIONS = {
    "lstm": Section(
        LSTM_FAMILY,
        parse_cases(
            "32,50,1,20",
            "32,50,20,20",
            "64,100,32,64",
            "32,336,7,128",
            "64,200,128,256",
            "16,1000,64,512",
            "1,50,1,20",
        ),
    ),
    "layer-norm-lstm": Section(
        LAYER_NORM_LSTM_FAMILY, parse_cases("32,50,20,20", "64,100,32,64", "32,336,7,128")
    ),
    "gru": Section(
        GRU_FAMILY,
        parse_cases("32,50,1,20", "32,50,20,20", "64,100,32,64", "32,336,7,128", "64,200,128,256"),
    ),
    "rnn": Section(RNN_FAMILY, parse_cases("32,50,20,20", "64,100,32,64", "32,336,7,128")),
    "layer-norm-rnn": Section(
        LAYER_NORM_RNN_FAMILY, parse_cases("32,50,20,20", "64,100,32,64", "32,336,7,128")
    ),
    "packed": Section(
        PACKED_FAMILY,
        parse_cases("1,1,64,128:step", "8,1,64,128:step", "1,50,1,20", "1,10,64,128", "32,50,1,20"),
    ),
}
"""The sections of the command by their names, each with its default cases."""
