"""``seqlight benchmark recurrent``: the recurrent layers against torch.nn's and hand-written loops."""

import argparse
from collections.abc import Sequence

from seqlight.benchmark.command import OneLineParser, add_common_options, argument_type, run_command
from seqlight.benchmark.recurrent_case import RecurrentCase
from seqlight.benchmark.recurrent_families import RECURRENT_SECTIONS, UNROLL_LIMIT
from seqlight.benchmark.suite import Section

DESCRIPTION = f"""\
Time seqlight's recurrent layers (LSTM plain, with peepholes and layer normalisation; GRU; RNN) against
torch.nn's (oneDNN), a loop with the input product hoisted out of it, the same under torch.jit.script, and
under torch.compile unrolled over the whole sequence (up to T = {UNROLL_LIMIT}); and calls with packed weights
and without. All run interleaved in one process, each checked against a float64 reference first.
"""

ALLOCATOR_CASES = ("64,100,32,64", "32,336,7,128", "64,200,128,256", "16,1000,64,512")
"""Middle and large shapes, whose buffers glibc maps anew for every call by default."""


def run_recurrent(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    parser = OneLineParser(prog="seqlight benchmark recurrent", description=DESCRIPTION)
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=list(RECURRENT_SECTIONS),
        default=list(RECURRENT_SECTIONS),
        help="default: all of them",
    )
    parser.add_argument(
        "--shapes",
        type=argument_type(RecurrentCase.parse),
        nargs="+",
        metavar="B,T,I,H",
        help="sizes, for all sections; 'B,1,I,H:step', for the section 'packed' alone, is one streaming step "
        "with the state handed on (default: each section's own)",
    )
    add_common_options(parser)
    # Sections times shapes are many rows; some take a second a round. About eight minutes on two cores.
    parser.set_defaults(min_time=0.5, max_time=3.0, compile_budget=30.0)
    args = parser.parse_args(argv)
    selection = ["--sections", *args.sections]
    if args.shapes:
        selection += ["--shapes", *(case.label for case in args.shapes)]
    return run_command(
        parser,
        args,
        "recurrent",
        [_section(name, args.shapes) for name in RECURRENT_SECTIONS if name in args.sections],
        command=["recurrent", *argv],
        selection=selection,
        nommap=_with_mmap_off(args),
    )


def _section(name: str, cases: Sequence[RecurrentCase] | None) -> Section[RecurrentCase]:
    section = RECURRENT_SECTIONS[name]
    if cases is None:
        return section
    return Section(section.family, [case for case in cases if name == "packed" or not case.stream])


def _with_mmap_off(args: argparse.Namespace) -> list[str]:
    """What is measured again with the other allocator: the LSTM's training, where it matters."""
    sections = ["lstm"] if "lstm" in args.sections else args.sections
    peers = [peer for name in sections for peer in RECURRENT_SECTIONS[name].family.peers if not peer.compiles]
    names = [peer.name for peer in peers if args.peers is None or peer.name in args.peers]
    arguments = ["--sections", *sections, "--peers", *dict.fromkeys(names)]
    if "training" in args.modes:
        arguments += ["--modes", "training"]
    if args.shapes is None:
        arguments += ["--shapes", *ALLOCATOR_CASES, "--threads", str(max(args.threads))]
    return arguments
