"""Correctness gate before timing, and what the suite reports of peers that fail, cannot run or are unfit."""

import math
import time

import pytest
import torch

from seqlight.benchmark import suite
from seqlight.benchmark.estimate import estimate_seconds
from seqlight.benchmark.gate import relative_error, relative_errors, verdict
from seqlight.benchmark.memory import kept_floats
from seqlight.benchmark.suite import time_limit
from seqlight.benchmark.timing import Schedule


def by_name(row):
    return {peer.name: peer for peer in row.peers}


def test_good_peers_are_timed_with_paired_ratios(toy, run_toys):
    forward, training = run_toys(toy.GOOD, toy.OURS)
    assert (forward.mode, training.mode) == ("forward", "training")
    for row in (forward, training):
        peers = by_name(row)
        assert [peer.status for peer in row.peers] == ["timed", "timed"]
        assert all(peer.rounds == 3 and peer.seconds.median > 0 for peer in row.peers)
        assert peers["good"].ratio.median == 1.0 and peers["good"].cost is None
        assert peers["ours"].against_best is None  # there is one other only, the baseline
        assert 1 / peers["ours"].cost.median == pytest.approx(peers["ours"].ratio.median)
        assert peers["ours"].matmul_share == pytest.approx(16 / peers["ours"].seconds.median / 100e9)
    assert set(forward.peers[0].errors) == {"output"}
    assert set(training.peers[0].errors) == {"output", "grad x", "grad weight"}


def test_flipped_gradient_is_caught_in_training_and_not_timed(toy, run_toys):
    forward, training = run_toys(toy.GOOD, toy.FLIPPED)
    assert by_name(forward)["flipped"].status == "timed"  # its output is right
    flipped = by_name(training)["flipped"]
    assert flipped.status == "wrong"
    assert "grad weight 2.0e+00" in flipped.reason and "grad x" not in flipped.reason
    assert flipped.rounds == 0 and flipped.ratio is None
    assert by_name(training)["good"].status == "timed"


def test_missing_gradient_is_wrong(toy, run_toys):
    (training,) = run_toys(toy.GOOD, toy.UNUSED, modes=["training"])
    assert by_name(training)["unused"].errors["grad weight"] == math.inf
    assert by_name(training)["unused"].status == "wrong"


def test_peer_that_cannot_run_is_reported_with_its_reason(toy, run_toys):
    forward, _ = run_toys(toy.GOOD, toy.BROKEN, toy.TOO_LONG, toy.SILENT)
    peers = by_name(forward)
    assert peers["broken"].status == "skipped"
    assert peers["broken"].reason == "RuntimeError: no such kernel"
    assert (peers["too-long"].status, peers["too-long"].reason) == ("skipped", "not beyond N = 1")
    assert "silent" not in peers


def test_without_a_schedule_peers_are_only_checked(toy, run_toys):
    rows = run_toys(toy.GOOD, toy.FLIPPED, schedule=None)
    assert [peer.status for row in rows for peer in row.peers] == ["checked", "checked", "checked", "wrong"]


def test_ratios_are_absent_without_the_baseline(toy, run_toys):
    forward, _ = run_toys(toy.OURS)
    assert forward.peers[0].seconds is not None and forward.peers[0].ratio is None


def test_number_of_threads_is_set_and_restored(toy, run_toys):
    seen = []

    def product(x, weight):
        seen.append(torch.get_num_threads())
        return x * weight

    before = torch.get_num_threads()
    rows = run_toys(toy.peer("good", product), threads=[before + 1], modes=["forward"])
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
    assert rows[0].threads == before + 1


def test_long_cases_have_the_last_number_of_threads_only(toy, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(suite, "matrix_product_gflops", lambda *, threads: 100.0 * threads)
    family = replace(toy.family(toy.GOOD), is_long=lambda case: case.size > 4)
    settings = suite.Settings(threads=[1, 2], modes=["forward"], schedule=None)
    cases = [toy.ToyCase(4), toy.ToyCase(8)]
    rows = list(suite.run(family, cases, settings))
    assert [(row.case, row.threads) for row in rows] == [("4", 1), ("4", 2), ("8", 2)]
    assert suite.count_rows(family, cases, settings) == 3


def test_estimate_grows_with_rounds_operations_and_compilations(toy):
    def seconds(size, rounds=21, **options):
        settings = suite.Settings(threads=[1], schedule=Schedule(rounds=rounds), **options)
        return estimate_seconds(
            [suite.Section(toy.family(toy.GOOD, *extra), [toy.ToyCase(size)])], settings, 1.0
        )

    extra = []
    brief = seconds(8)
    assert brief == pytest.approx(2 * 1.6, rel=0.1)  # a second of timing and the checks, in both modes
    assert seconds(10**9) > 20 * brief
    assert seconds(10**8, rounds=42) > 1.3 * seconds(10**8)
    extra = [toy.peer("compiled", torch.mul, compiles=True)]
    assert seconds(8, compile_budget=50.0) == pytest.approx(brief + 50)


def test_slow_compilation_is_given_up_once_per_mode(toy, run_toys):
    builds = []

    def product(x, weight):
        builds.append(1)
        time.sleep(1.0)
        return x * weight

    slow = toy.peer("slow", product, compiles=True)
    rows = run_toys(toy.GOOD, slow, compile_limit=0.05, threads=[1, 2], modes=["forward"])
    for row in rows:
        assert by_name(row)["slow"].status == "skipped"
        assert by_name(row)["slow"].reason == "not compiled within 0.05 s"
    assert len(builds) == 1


def test_compilations_have_a_budget_and_the_largest_number_of_threads(toy, run_toys):
    def product(x, weight):
        time.sleep(0.1)
        return x * weight

    slow, other = (toy.peer(name, product, compiles=True) for name in ("slow", "other"))
    one, two = run_toys(toy.GOOD, slow, other, compile_budget=0.05 + 0.1, threads=[1, 2], modes=["forward"])
    assert by_name(one)["slow"].reason == by_name(one)["other"].reason == "compiled for 2 threads only"
    assert by_name(two)["slow"].status == "timed"
    assert by_name(two)["other"].status == "skipped"


def test_compilation_time_is_kept(toy, run_toys):
    forward, _ = run_toys(toy.GOOD, toy.peer("compiled", torch.mul, compiles=True))
    assert by_name(forward)["compiled"].compile_seconds > 0
    assert by_name(forward)["good"].compile_seconds is None


def test_time_limit_leaves_quick_work_alone():
    with time_limit(5.0):
        pass
    with pytest.raises(TimeoutError, match=r"0\.01 s"), time_limit(0.01):
        time.sleep(1.0)


@pytest.mark.parametrize(
    ("actual", "error"),
    [
        ([3.0, 4.0], 0.0),
        ([3.0, 4.5], 0.1),
        ([-3.0, -4.0], 2.0),
        ([3.0, math.nan], math.inf),
        ([3.0, math.inf], math.inf),
        ([3.0], math.inf),
    ],
)
def test_relative_error(actual, error):
    expected = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert relative_error(torch.tensor(actual), expected) == pytest.approx(error)


def test_relative_error_of_missing_and_of_zero():
    assert relative_error(None, torch.ones(2)) == math.inf
    assert relative_error(torch.tensor([0.0, 0.5]), torch.zeros(2)) == 0.5
    assert relative_errors({}, {"grad x": torch.ones(1)}) == {"grad x": math.inf}


def test_verdict_names_the_worst():
    assert verdict({"output": 9e-6}) is None
    assert "grad x 1.0e-02, output 2.0e-05" in verdict({"output": 2e-5, "grad x": 1e-2, "grad w": 1e-7})
    assert verdict({"output": 1e-5}) is not None
    assert verdict({"output": math.nan}) is not None


def test_kept_floats_counts_each_storage_once_without_what_is_held_anyway():
    x = torch.randn(7, 3, requires_grad=True)
    weight = torch.randn(3, requires_grad=True)

    def forward():
        hidden = (x * weight).exp()  # keeps x, weight and its own result
        return (hidden * hidden).sin()  # keeps hidden once more, and the product

    assert kept_floats(forward, [x, weight]) == 2 * 21
    assert kept_floats(forward, [weight]) == 3 * 21
    assert kept_floats(lambda: (x.double() * 1.0).exp(), [x]) == 2 * 21
