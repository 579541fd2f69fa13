"""``seqlight benchmark recurrent``: the recurrent layers against their peers."""

from collections.abc import Sequence

from seqlight.benchmark.command import OneLineParser, add_common_options, argument_type, run_command
from seqlight.benchmark.lstm import DEFAULT_CASES, LSTM_FAMILY, UNROLL_LIMIT, RecurrentCase
from seqlight.benchmark.suite import Section

DESCRIPTION = f"""\
Time seqlight's recurrent layers against torch.nn.LSTM (oneDNN), a loop with the input product hoisted out of
it, the same under torch.jit.script, and under torch.compile unrolled over the whole sequence (up to
T = {UNROLL_LIMIT}). All run interleaved in one process, each checked against a float64 reference first.
"""


def run_recurrent(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    parser = OneLineParser(prog="seqlight benchmark recurrent", description=DESCRIPTION)
    parser.add_argument(
        "--shapes",
        type=argument_type(RecurrentCase.parse),
        nargs="+",
        default=list(DEFAULT_CASES),
        metavar="B,T,I,H",
        help="sizes; 'B,1,I,H:step' is one streaming step with the state handed on "
        f"(default: {' '.join(case.label for case in DEFAULT_CASES)})",
    )
    add_common_options(parser)
    args = parser.parse_args(argv)
    return run_command(
        parser,
        args,
        "recurrent",
        [Section(LSTM_FAMILY, args.shapes)],
        command=["recurrent", *argv],
        selection=["--shapes", *(case.label for case in args.shapes)],
    )
