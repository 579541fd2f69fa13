"""The same convolution with several dilations: does its speed depend on them?"""

from dataclasses import replace
from functools import partial

from torch import Tensor

from seqlight.benchmark.convolution import (
    ConvCase,
    build_seqlight,
    flops,
    kept_unit,
    make_problem,
    reference,
)
from seqlight.benchmark.peers import Peer, Problem
from seqlight.benchmark.suite import Family

DILATIONS = (1, 8, 64, 512)
DEFAULT_CASES = (ConvCase(8, 4096, 64, 2, 1),)


def _reference(problem: Problem, variant: str, mode: str) -> dict[str, Tensor]:
    assert isinstance(problem.case, ConvCase)
    case = replace(problem.case, dilation=int(variant.removeprefix("d = ")))
    return reference(replace(problem, case=case), "plain", mode)


DILATION_FAMILY = Family(
    name="dilation",
    baseline="dilation-1",
    peers=[
        Peer(
            f"dilation-{dilation}",
            f"seqlight, dilation {dilation}",
            f"d = {dilation}",
            partial(build_seqlight, gated=False, dilation=dilation),
            ours=True,
        )
        for dilation in DILATIONS
    ],
    make_problem=make_problem,
    reference=_reference,
    flops=flops,
    kept_unit=kept_unit,
    notes=(
        "Dilation: seqlight's convolution with several dilations in turn, against its own speed at dilation"
        " 1; 1.00 is a speed that does not depend on it.",
    ),
)
