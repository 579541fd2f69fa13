"""``seqlight benchmark conv``: causal convolutions, WaveNet and its generation against their peers."""

from collections.abc import Sequence
from typing import Any

from seqlight.benchmark import convolution, dilation, generation, wavenet
from seqlight.benchmark.command import OneLineParser, add_common_options, argument_type, run_command
from seqlight.benchmark.peers import Case
from seqlight.benchmark.suite import Section

DESCRIPTION = """\
Time seqlight's dilated causal convolution, plain and with WaveNet's gate, against F.conv1d in both layouts,
a product per tap, and torch.compile; a whole gated WaveNet against one in eager PyTorch; the convolution at
several dilations; and generation, sample by sample. All run interleaved in one process, each checked against
a float64 reference first.
"""

SECTIONS = ("conv", "gated", "wavenet", "dilation", "generation")


def run_conv(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    parser = OneLineParser(prog="seqlight benchmark conv", description=DESCRIPTION)
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="default: all of them"
    )
    for option, kind, names, cases, what in (
        ("--shapes", convolution.ConvCase, "B,T,C[,K,d]", convolution.DEFAULT_CASES, "of conv and gated"),
        ("--wavenet-shapes", wavenet.WaveNetCase, "B,T,C,blocks,layers", wavenet.DEFAULT_CASES, "of the net"),
        (
            "--dilation-shapes",
            convolution.ConvCase,
            "B,T,C",
            dilation.DEFAULT_CASES,
            "of the convolution whose dilation is varied",
        ),
        (
            "--generation-shapes",
            generation.GenerationCase,
            "B,C,blocks,layers",
            generation.DEFAULT_CASES,
            "of the net that generates",
        ),
    ):
        default: Sequence[Case] = cases
        parser.add_argument(
            option,
            type=argument_type(kind.parse),
            nargs="+",
            default=list(default),
            metavar=names,
            help=f"sizes {what} (default: {' '.join(case.label for case in default)})",
        )
    add_common_options(parser)
    parser.set_defaults(max_time=8.0)  # some rows take seconds a round
    args = parser.parse_args(argv)
    every: dict[str, Section[Any]] = {
        "conv": Section(convolution.CONV_FAMILY, args.shapes),
        "gated": Section(convolution.GATED_FAMILY, args.shapes),
        "wavenet": Section(wavenet.WAVENET_FAMILY, args.wavenet_shapes),
        "dilation": Section(dilation.DILATION_FAMILY, args.dilation_shapes),
        "generation": Section(generation.GENERATION_FAMILY, args.generation_shapes),
    }
    selection = ["--sections", *args.sections]
    for option in ("shapes", "wavenet_shapes", "dilation_shapes", "generation_shapes"):
        selection += [f"--{option.replace('_', '-')}", *(case.label for case in getattr(args, option))]
    return run_command(
        parser,
        args,
        "conv",
        [every[name] for name in SECTIONS if name in args.sections],
        command=["conv", *argv],
        selection=selection,
    )
