"""``seqlight benchmark conv``: arguments, references against seqlight's own layers, and a tiny run."""

import pytest
import torch

from seqlight import _extension
from seqlight.benchmark import convolution, generation, main, suite, wavenet
from seqlight.benchmark.conv import SECTIONS
from seqlight.benchmark.dilation import DILATION_FAMILY
from seqlight.benchmark.results import Results
from seqlight.nn import CausalConv1d

TINY = [
    *("--shapes", "2,9,3,3,2"),
    *("--wavenet-shapes", "2,9,4,2,2"),
    *("--dilation-shapes", "2,9,3"),
    *("--generation-shapes", "2,4,2,2"),
]
FAMILIES = [
    convolution.CONV_FAMILY,
    convolution.GATED_FAMILY,
    wavenet.WAVENET_FAMILY,
    DILATION_FAMILY,
    generation.GENERATION_FAMILY,
]


def test_default_cases_read_back_from_their_labels():
    for kind, cases in (
        (convolution.ConvCase, convolution.DEFAULT_CASES),
        (wavenet.WaveNetCase, wavenet.DEFAULT_CASES),
        (generation.GenerationCase, generation.DEFAULT_CASES),
    ):
        assert [kind.parse(case.label) for case in cases] == list(cases)
    assert convolution.ConvCase.parse("32,50,20").label == "32,50,20,2,8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "1,2"], "expected 5 whole numbers B,T,C,K,d of at least 1, as 32,50,20,2,8"),
        (["--shapes", "1,2,0"], "at least 1"),
        (["--wavenet-shapes", "1,2,3"], "expected 5 whole numbers B,T,C,blocks,layers"),
        (["--generation-shapes", "1,x,3,4"], "expected 4 whole numbers B,C,blocks,layers"),
        (["--sections", "convs"], "invalid choice: 'convs'"),
        (["--peers", "cudnn"], "got cudnn"),
    ],
)
def test_wrong_arguments_get_one_line_and_code_2(arguments, message, capsys):
    assert main(["conv", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_the_reference_of_a_convolution_is_the_layers():
    case = convolution.ConvCase(2, 9, 3, 3, 2)
    for gated, variant, activation in ((False, "plain", None), (True, "gated", "gate")):
        problem = convolution.make_problem(case, 1, gated=gated)
        layer = CausalConv1d(3, 6 if gated else 3, 3, 2, dtype=torch.float64)
        layer.load_state_dict(problem.weights)
        x = problem.x.double().requires_grad_()
        output, _ = layer(x, activation=activation)
        output.backward(problem.grad_output.double())
        expected = {
            "output": output.detach(),
            "grad x": x.grad,
            "grad weight": layer.weight.grad,
            "grad bias": layer.bias.grad,
        }
        torch.testing.assert_close(convolution.reference(problem, variant, "training"), expected)


def test_the_reference_of_a_net_is_wavenets():
    case = wavenet.WaveNetCase(2, 9, 4, 2, 2)
    problem = wavenet.make_problem(case, 1)
    net = wavenet.build_net(case, problem.weights).double()
    x = problem.x.double().requires_grad_()
    output, _ = net(x)
    output.backward(problem.grad_output.double())
    expected = {"output": output.detach(), "grad x": x.grad}
    expected |= {f"grad {name}": parameter.grad for name, parameter in net.named_parameters()}
    torch.testing.assert_close(wavenet.reference(problem, "gated net", "training"), expected)


def test_the_reference_of_generation_runs_the_net_over_all_that_came_before():
    case = generation.GenerationCase(2, 4, 2, 2)
    problem = generation.make_problem(case, 1)
    net = wavenet.build_net(case.net, problem.weights).double()
    assert case.net.steps == net.receptive_field
    series = problem.x.double()
    for _ in range(7):
        series = torch.cat([series, net(series)[0][:, -1:]], 1)
    found = generation.reference(problem, "7 samples", "forward")["output"]
    torch.testing.assert_close(found, series[:, case.net.steps :])


def test_operations_are_those_of_the_weights():
    """Each weight of a net is one multiplication and one addition for a row and step."""
    case = wavenet.WaveNetCase(1, 1, 5, 2, 3)
    net = wavenet.build_net(case)
    weights = sum(value.numel() for name, value in net.named_parameters() if name.endswith("weight"))
    assert wavenet.flops(case, "forward") == 2 * weights
    conv = convolution.ConvCase(2, 3, 5, 4, 1)
    assert convolution.flops(conv, "training", gated=True) == 3 * 2 * (2 * 3) * (4 * 5 * 10)


def test_tiny_run_of_all_sections(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "matrix_product_gflops", lambda *, threads: 100.0 * threads)
    paths = [tmp_path / name for name in ("results.json", "ratios.png", "results.md")]
    arguments = ["--quick", "--threads", "1", *TINY, "-o", str(paths[0]), "--plot", str(paths[1])]
    code = main(["conv", *arguments, "--markdown", str(paths[2])])
    results = Results.read(paths[0])
    rows = results.reports[0].rows
    both = ["forward", "training"]
    assert [(row.family, row.case, row.mode) for row in rows] == [
        *((family, "2,9,3,3,2", mode) for family in ("conv", "gated") for mode in both),
        *(("WaveNet", "2,9,4,2,2", mode) for mode in both),
        *(("dilation", "2,9,3,2,8", mode) for mode in both),
        ("generation", "2,4,2,2", "forward"),
    ]
    assert results.wrong == []
    ours = [peer for row in rows for peer in row.peers if peer.ours]
    others = [peer for row in rows for peer in row.peers if not peer.ours]
    assert {peer.status for peer in others} == {"timed"}
    if _extension.available:
        assert code == 0 and {peer.status for peer in ours} == {"timed"}
    else:  # the fallback must not be measured as the kernel
        assert code == 1 and {peer.status for peer in ours} <= {"skipped", "timed"}
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    page = paths[2].read_text()
    for text in ("generation, forward, 1 thread", "ms per sample", "times per sample", "Convolutions count"):
        assert text in page
    if _extension.available:
        assert "seqlight against the best other" in page
    assert "times as fast as F.conv1d [B,C,T]" in capsys.readouterr().out


def test_peers_choose_the_sections_that_have_them(capsys):
    main(["conv", "--check-only", "--threads", "1", *TINY, "--peers", "linear", "eager-ring"])
    printed = capsys.readouterr().out
    assert "generation, forward" in printed and "gated, forward" in printed
    assert "WaveNet, forward" not in printed


def test_times_are_per_sample(toy, run_toys):
    from dataclasses import replace

    def several(problem):
        return replace(toy.GOOD.build(problem), units=1000)

    forward, _ = run_toys(toy.GOOD, replace(toy.OURS, build=several))
    good, ours = forward.peers
    assert ours.seconds.median < good.seconds.median / 20
    assert ours.ratio.median > 20


def test_family_names_are_unique():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) == len(SECTIONS)
    for family in FAMILIES:
        names = [peer.name for peer in family.peers]
        assert len(set(names)) == len(names) and family.baseline in names
