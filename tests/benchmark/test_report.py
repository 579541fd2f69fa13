"""JSON round trip, tables and the plot."""

import json
import math
from dataclasses import asdict, replace

import pytest

from seqlight.benchmark import report as text
from seqlight.benchmark.plot import plot_results, save_plot
from seqlight.benchmark.results import Results


def test_json_round_trip(results):
    row = results.reports[0].rows[0]
    row.peers[0].errors = {"output": math.inf}
    first = results.to_json()
    again = Results.from_json(first)
    assert again.to_json() == first
    assert asdict(again)["reports"][0]["rows"][0]["peers"][0]["errors"] == {"output": math.inf}
    assert again.reports[0].rows[0].peers[1].seconds.median == pytest.approx(
        row.peers[1].seconds.median, 1e-3
    )
    assert again.reports[0].rows[0].matmul_gflops == {1: 100.0}
    assert [(row.mode, peer.name) for row, peer in again.wrong] == [("training", "flipped")]


def test_json_is_strict_and_holds_what_the_schema_says(results):
    results.reports[0].rows[0].peers[0].errors["output"] = math.inf
    content = json.loads(results.to_json(), parse_constant=pytest.fail)
    assert content["schema"] == 2 and content["command"] == ["toy", "--quick"]
    (report,) = content["reports"]
    peer = report["rows"][1]["peers"][1]
    assert peer["name"] == "ours" and peer["status"] == "timed" and peer["rounds"] == 3
    assert set(peer["seconds"]) == set(peer["ratio"]) == set(peer["cost"]) == {"median", "q1", "q3"}
    assert len(peer["errors"]) == 1  # the largest
    assert None not in peer.values()
    assert report["rows"][0]["peers"][0]["errors"] == {"output": None}


def test_other_schema_is_refused(results):
    content = json.loads(results.to_json()) | {"schema": 99}
    with pytest.raises(ValueError, match="expected schema 2, got 99"):
        Results.from_json(json.dumps(content))


def test_markdown_shows_losses_failures_and_conditions(results):
    for row in results.reports[0].rows:
        slower = row.peer("ours")
        slower.ratio = slower.against_best = type(slower.ratio)(0.25, 0.2, 0.3)
    page = text.to_markdown(results, "plot.png")
    assert "![Speed against the baseline](plot.png)" in page
    assert "| 0.250 [0.200, 0.300]" in page
    assert "label of ours: 0.250 [0.200, 0.300] times as fast as the best other (toy 8, forward" in page
    assert "label of ours over label of good" in page
    assert "label of flipped: wrong: relative error" in page
    assert "label of too-long: skipped: not beyond N = 1" in page
    for fact in ("Toy CPU", "avx2", "glibc 2.36 default", "mmap off", "denormals flushed by torch: no"):
        assert fact in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("| 8")}
    heads = {line.count("|") for line in page.splitlines() if line.startswith("| toy N")}
    assert widths == heads


def test_kept_memory_is_told_per_unit(results):
    table = text.kept_tables(results.reports[0])[0]
    assert "floats per element" in table.title
    assert table.rows == [["8", "0.00", "0.00", "0.00"]]


def test_busy_machine_is_pointed_out(results):
    assert text.busy_rows(results) == []
    results.reports[0].rows[0].matmul_gflops = {1: 100.0, 2: 60.0}
    results.reports[0].rows[1].matmul_gflops = {1: 100.0, 2: 60.0}
    (line,) = text.busy_rows(results)
    assert "60 GFLOP/s on 2 threads and 100 on 1" in line


def test_allocators_are_compared(results):
    assert text.allocator_table(results) is None
    second = Results.from_json(results.to_json()).reports[0]
    second.machine["allocator"] = "glibc 2.36, mmap off"
    for row in second.rows:
        peer = row.peer("good")
        peer.seconds = type(peer.seconds)(peer.seconds.median / 2, 0.0, 0.0)
    results.reports.append(second)
    table = text.allocator_table(results)
    assert table.columns == ["case", "label of good", "label of ours", "label of flipped"]
    assert table.rows[0] == ["8, forward, 1 thread", "2.00", "1.00", "1.00"]
    assert table.rows[1][3] == text.NONE


def test_plot_shows_every_timed_peer_but_the_baseline(results, tmp_path):
    figure = plot_results(results)
    forward, training = figure.axes
    assert forward.get_xscale() == "log"
    drawn = [label for axes in (forward, training) for label in axes.get_legend_handles_labels()[1]]
    assert drawn == ["label of ours", "label of flipped", "label of ours"]
    save_plot(results, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_many_kinds_of_layers_shows_the_most_threads_only(results):
    report = results.reports[0]
    rows = [replace(row, family=f"kind {kind}") for kind in range(6) for row in report.rows]
    report.rows = [*rows, *(replace(row, threads=2) for row in rows)]
    titles = [axes.get_title(loc="left") for axes in plot_results(results).axes]
    assert titles == [
        f"kind {kind}, {mode}, 2 threads" for kind in range(6) for mode in ("forward", "training")
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0123456, "0.0123"), (1.0, "1.00"), (12.345, "12.3"), (12345.6, "12346")]
)
def test_three_significant_digits(value, shown):
    assert text._figure(value) == shown
