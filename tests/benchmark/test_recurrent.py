"""``seqlight benchmark recurrent``: arguments, cells and their references, and a tiny run of all sections."""

import json

import pytest
import torch

from seqlight import _extension
from seqlight.benchmark import command, main, suite
from seqlight.benchmark.machine import describe_allocator, flushes_denormals, matrix_product_gflops
from seqlight.benchmark.recurrent import ALLOCATOR_CASES
from seqlight.benchmark.recurrent_case import RecurrentCase
from seqlight.benchmark.recurrent_cells import (
    GATE_WEIGHTS,
    GRU_CELL,
    LSTM_CELL,
    RNN_CELL,
    layer_options,
    weight_names,
)
from seqlight.benchmark.recurrent_families import RECURRENT_SECTIONS
from seqlight.benchmark.results import Results
from seqlight.cli import main as command_line

TINY = "3,5,2,4"


def test_default_cases_read_back_from_their_labels():
    for section in RECURRENT_SECTIONS.values():
        assert [RecurrentCase.parse(case.label) for case in section.cases] == list(section.cases)
    lstm = RECURRENT_SECTIONS["lstm"].cases
    assert lstm[0].shape == {"B": 32, "T": 50, "I": 1, "H": 20}
    assert set(ALLOCATOR_CASES) <= {case.label for case in lstm}
    assert RECURRENT_SECTIONS["packed"].cases[0].stream


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "1,2,3"], "expected 4 whole numbers B,T,I,H"),
        (["--shapes", "1,2,0,4"], "at least 1"),
        (["--shapes", "1,2,3,4:step"], "T = 1 for a streaming step, got T = 2"),
        (["--shapes", "1,2,3,4:leap"], "':step'"),
        (["--threads", "0"], "whole number of at least 1, got '0'"),
        (["--peers", "torch-lstm", "cudnn"], "got cudnn"),
        (["--modes", "backward"], "invalid choice"),
        (["--sections", "lstms"], "invalid choice: 'lstms'"),
    ],
)
def test_wrong_arguments_get_one_line_and_code_2(arguments, message, capsys):
    assert main(["recurrent", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_an_output_in_no_folder_is_refused_before_measuring(capsys):
    with pytest.raises(SystemExit) as ended:
        command_line(["benchmark", "recurrent", "-o", "/no/such/folder/results.json"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "the folder '/no/such/folder' does not exist" in error and len(error.splitlines()) == 1


def test_unknown_benchmark_gets_one_line_and_code_2(capsys):
    assert main(["recurent"]) == 2
    assert "expected one of recurrent, conv" in capsys.readouterr().err


@pytest.mark.parametrize("cell", [LSTM_CELL, GRU_CELL, RNN_CELL], ids=["lstm", "gru", "rnn"])
def test_the_reference_of_a_plain_cell_is_torchs(cell):
    problem = cell.make_problem(RecurrentCase(3, 5, 2, 4), seed=1)
    layer = cell.torch_layer(2, 4, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name in GATE_WEIGHTS:
            getattr(layer, f"{name}_l0").copy_(problem.weights[name])
    x = problem.x.double().requires_grad_()
    output = layer(x)[0]
    output.backward(problem.grad_output.double())
    expected = {f"grad {name}": getattr(layer, f"{name}_l0").grad for name in GATE_WEIGHTS}
    expected |= {"output": output.detach(), "grad x": x.grad}
    torch.testing.assert_close(cell.reference(problem, "plain", "training"), expected, rtol=1e-12, atol=1e-12)


def test_variants_name_options_and_weights():
    assert layer_options("plain") == {}
    assert layer_options("peephole + layer norm") == {"peephole": True, "layer_norm": True}
    assert weight_names("layer norm") == (*GATE_WEIGHTS, "weight_layer_norm")
    assert weight_names("peephole + layer norm") == (*GATE_WEIGHTS, "weight_peephole", "weight_layer_norm")


def test_flops_count_both_products():
    case = RecurrentCase(2, 3, 5, 7)
    for cell, gates in ((LSTM_CELL, 4), (GRU_CELL, 3), (RNN_CELL, 1)):
        assert cell.flops(case, "forward") == 2 * (2 * 3) * (gates * 7) * (5 + 7)
        assert cell.flops(case, "training") == 3 * cell.flops(case, "forward")


def test_machine_facts(monkeypatch):
    assert matrix_product_gflops(threads=1, size=64, seconds=0.01) > 0.01
    before = flushes_denormals()
    assert torch.set_flush_denormal(True) and flushes_denormals()
    torch.set_flush_denormal(before)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    plain = describe_allocator()
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.mmap_max=0")
    if plain.startswith("glibc"):
        assert plain.endswith("default") and describe_allocator().endswith("mmap off")


def test_tiny_run_of_all_sections(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "matrix_product_gflops", lambda *, threads: 100.0 * threads)
    paths = [tmp_path / name for name in ("results.json", "ratios.png", "results.md")]
    arguments = ["--quick", "--threads", "1", "--shapes", TINY, "1,1,2,4:step", "-o", str(paths[0])]
    code = main(["recurrent", *arguments, "--plot", str(paths[1]), "--markdown", str(paths[2])])
    results = Results.read(paths[0])
    assert json.loads(paths[0].read_text())["schema"] == 2
    rows = results.reports[0].rows
    families = [section.family.name for name, section in RECURRENT_SECTIONS.items() if name != "packed"]
    assert [(row.family, row.case, row.mode) for row in rows] == [
        *((family, TINY, mode) for family in families for mode in ("forward", "training")),
        ("packed", TINY, "forward"),
        ("packed", "1,1,2,4:step", "forward"),
    ]
    assert results.wrong == []
    ours = [peer for row in rows for peer in row.peers if peer.ours]
    others = [peer for row in rows for peer in row.peers if not peer.ours]
    assert {peer.status for peer in others} == {"timed"}
    assert {"torch-gru", "torch-cell", "eager", "jit"} <= {peer.name for peer in others}
    page = paths[2].read_text()
    if _extension.available:
        assert code == 0
        assert {peer.status for peer in ours} == {"timed"}
        assert "seqlight layer norm over seqlight plain" in page
        assert "seqlight peephole, packed over seqlight peephole" in page
    else:  # the fallback must not be measured as the kernel
        assert code == 1
        assert {peer.status for peer in ours} == {"skipped"}
        assert all("cannot run" in peer.reason for peer in ours)
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert "torch.jit.script" in page
    assert "times as fast as torch.nn.LSTM" in capsys.readouterr().out


def test_check_only_times_nothing(capsys):
    chosen = ["--sections", "lstm", "--shapes", TINY, "--peers", "torch-lstm", "eager"]
    main(["recurrent", "--check-only", "--threads", "1", *chosen])
    printed = capsys.readouterr().out
    assert "checked" in printed and "Kept for backward" in printed


def test_the_other_allocator_is_measured_on_the_training_of_larger_lstms(monkeypatch):
    asked = []

    def measure(name, arguments, console):
        asked.extend(arguments)
        return []

    monkeypatch.setattr(command, "_measure_without_mmap", measure)
    monkeypatch.setattr(command, "run", lambda *args, **options: iter(()))
    main(
        [
            "recurrent",
            "--allocator-nommap",
            "--threads",
            "1",
            "2",
            "--peers",
            "torch-lstm",
            "eager",
            "compile",
        ]
    )
    expected = ["--sections", "lstm", "--peers", "torch-lstm", "eager", "--modes", "training"]
    assert asked[-len(expected) - len(ALLOCATOR_CASES) - 3 :] == [
        *expected,
        *("--shapes", *ALLOCATOR_CASES),
        *("--threads", "2"),
    ]


def test_family_names_are_unique():
    for section in RECURRENT_SECTIONS.values():
        family = section.family
        names = [peer.name for peer in family.peers]
        assert len(set(names)) == len(names) and family.baseline in names
        assert {name for pair in family.costs for name in pair} <= set(names)
