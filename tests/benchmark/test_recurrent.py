"""``seqlight benchmark recurrent``: arguments, the LSTM's implementations and reference, and a tiny run."""

import json

import pytest
import torch

from seqlight import _extension
from seqlight.benchmark import main
from seqlight.benchmark.lstm import (
    DEFAULT_CASES,
    GATE_WEIGHTS,
    LSTM_FAMILY,
    RecurrentCase,
    flops,
    make_problem,
    reference,
)
from seqlight.benchmark.machine import describe_allocator, flushes_denormals, matrix_product_gflops
from seqlight.benchmark.results import Results

TINY = "3,5,2,4"


def test_default_cases_read_back_from_their_labels():
    assert [RecurrentCase.parse(case.label) for case in DEFAULT_CASES] == list(DEFAULT_CASES)
    assert DEFAULT_CASES[0].shape == {"B": 32, "T": 50, "I": 1, "H": 20}
    assert DEFAULT_CASES[-1].stream


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "1,2,3"], "four whole numbers"),
        (["--shapes", "1,2,0,4"], "at least 1"),
        (["--shapes", "1,2,3,4:step"], "T = 1 for a streaming step, got T = 2"),
        (["--shapes", "1,2,3,4:leap"], "':step'"),
        (["--threads", "0"], "whole number of at least 1, got '0'"),
        (["--peers", "torch-lstm", "cudnn"], "got cudnn"),
        (["-o", "/no/such/folder/results.json"], "no folder"),
        (["--modes", "backward"], "invalid choice"),
    ],
)
def test_wrong_arguments_get_one_line_and_code_2(arguments, message, capsys):
    assert main(["recurrent", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_unknown_benchmark_gets_one_line_and_code_2(capsys):
    assert main(["recurent"]) == 2
    assert "expected one of recurrent, conv" in capsys.readouterr().err


def test_reference_agrees_with_torch_in_float64():
    problem = make_problem(RecurrentCase(3, 5, 2, 4), seed=1)
    layer = torch.nn.LSTM(2, 4, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name in GATE_WEIGHTS:
            getattr(layer, f"{name}_l0").copy_(problem.weights[name])
    x = problem.x.double().requires_grad_()
    output = layer(x)[0]
    output.backward(problem.grad_output.double())
    expected = {f"grad {name}": getattr(layer, f"{name}_l0").grad for name in GATE_WEIGHTS}
    expected |= {"output": output.detach(), "grad x": x.grad}
    found = reference(problem, "plain", "training")
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-12)


def test_flops_count_both_products():
    assert flops(RecurrentCase(2, 3, 5, 7), "forward") == 2 * (2 * 3) * (4 * 7) * (5 + 7)
    assert flops(RecurrentCase(2, 3, 5, 7), "training") == 3 * flops(RecurrentCase(2, 3, 5, 7), "forward")


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


def test_tiny_run_writes_json_plot_and_markdown(tmp_path, capsys):
    paths = [tmp_path / name for name in ("results.json", "ratios.png", "results.md")]
    arguments = ["--quick", "--threads", "1", "--shapes", TINY, "1,1,2,4:step"]
    code = main(
        ["recurrent", *arguments, "-o", str(paths[0]), "--plot", str(paths[1]), "--markdown", str(paths[2])]
    )
    results = Results.read(paths[0])
    assert json.loads(paths[0].read_text())["schema"] == 1
    rows = results.reports[0].rows
    assert [(row.case, row.mode) for row in rows] == [
        (TINY, "forward"),
        (TINY, "training"),
        ("1,1,2,4:step", "forward"),
    ]
    statuses = {peer.name: peer.status for row in rows for peer in row.peers}
    assert results.wrong == []
    for name in ("torch-lstm", "torch-cell", "eager", "jit"):
        assert statuses[name] == "timed"
    ours = {peer.name: peer for row in rows for peer in row.peers if peer.ours}
    if _extension.available:
        assert code == 0
        assert {peer.status for peer in ours.values()} == {"timed"}
    else:  # the fallback must not be measured as the kernel
        assert code == 1
        assert {peer.status for peer in ours.values()} == {"skipped"}
        assert "cannot run" in ours["seqlight-peephole"].reason
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert "torch.jit.script" in paths[2].read_text()
    assert "times as fast as torch.nn.LSTM" in capsys.readouterr().out


def test_check_only_times_nothing(capsys):
    main(["recurrent", "--check-only", "--threads", "1", "--shapes", TINY, "--peers", "torch-lstm", "eager"])
    printed = capsys.readouterr().out
    assert "checked" in printed and "Kept for backward" in printed


def test_family_names_are_unique():
    names = [peer.name for peer in LSTM_FAMILY.peers]
    assert len(set(names)) == len(names) and LSTM_FAMILY.baseline in names
