"""The result of a benchmark run as plain data, and its JSON form.

JSON schema (version 2), one object::

    schema         2
    benchmark      "recurrent"
    command        the arguments the run was started with
    reports        one entry per process, that is per memory allocator:
      machine        machine.describe_machine()
      settings       rounds, min_seconds, max_seconds, warmup_rounds, tolerance, seed
      notes          sentences on the kinds of layers that were measured
      rows           one entry per case, number of threads and mode:
        family, case, shape {"B": ..}, threads, mode ("forward" | "training"), dtype
        unit            what the times are told per: "call", "sample"
        flops           multiplications and additions in the matrix products of one call
        matmul_gflops   {threads: GFLOP/s of torch.mm just before this case}
        baseline        name of the peer that ratios refer to
        costs           [[peer, the peer that its cost refers to], ...]
        peers           one entry per peer, with what is not null of:
          name, label, variant, ours
          status             "timed" | "wrong" (failed the gate) | "skipped" | "checked" (gate only)
          reason             why it was not timed, or null
          errors             {"output": relative error to the float64 reference, ...}; null is infinite; the
                             file has the largest one only
          compile_seconds    first call of a peer that compiles, or null
          rounds             how many were timed
          seconds            {"median", "q1", "q3"} over the rounds of the seconds per unit, or null
          ratio              the same of baseline / peer taken within each round (above 1: faster), or null
          against_best       the same with the fastest of the peers that are not seqlight's as the baseline,
                             for seqlight's own where there are several others, or null
          cost               the same of peer / the peer that the family compares it with (an option's cost:
                             below 1 is faster), or null
          matmul_share       flops / median seconds / matmul_gflops[threads], or null
          kept_floats        4-byte numbers kept for backward per `kept_unit`, or null
        kept_unit       what kept_floats is divided by
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seqlight.benchmark.timing import Quartiles

SCHEMA = 2
LINE = 800  # characters of a line of JSON, at most where it can be broken


@dataclass
class PeerResult:
    """One peer in one row; the fields are those of the JSON schema above."""

    name: str
    label: str
    variant: str
    ours: bool
    status: str = "skipped"
    reason: str | None = None
    errors: dict[str, float] = field(default_factory=dict)
    compile_seconds: float | None = None
    rounds: int = 0
    seconds: Quartiles | None = None
    ratio: Quartiles | None = None
    against_best: Quartiles | None = None
    cost: Quartiles | None = None
    matmul_share: float | None = None
    kept_floats: float | None = None


@dataclass
class Row:
    """One case at one number of threads in one mode; the fields are those of the JSON schema above."""

    family: str
    case: str
    shape: dict[str, int]
    threads: int
    mode: str
    dtype: str
    flops: int
    matmul_gflops: dict[int, float]
    baseline: str
    kept_unit: str
    peers: list[PeerResult]
    unit: str = "call"
    costs: Sequence[Sequence[str]] = ()

    def peer(self, name: str) -> PeerResult | None:
        """The peer of that name, or None if it takes no part in this row."""
        return next((peer for peer in self.peers if peer.name == name), None)


@dataclass
class Report:
    """What one process measured."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


@dataclass
class Results:
    """A whole run: one report per memory allocator."""

    benchmark: str
    command: Sequence[str]
    reports: list[Report]

    @property
    def wrong(self) -> list[tuple[Row, PeerResult]]:
        """Every peer that failed its correctness gate, with its row."""
        return [
            (row, peer)
            for report in self.reports
            for row in report.rows
            for peer in row.peers
            if peer.status == "wrong"
        ]

    def to_json(self) -> str:
        """JSON text in the schema above, times and ratios with four significant digits.

        Infinite errors, which JSON cannot hold, become null.
        """
        content = {"schema": SCHEMA, **asdict(self)}
        for report in content["reports"]:
            for row in report["rows"]:
                for peer in row["peers"]:
                    peer["errors"] = _largest(peer["errors"])
                row["peers"] = [
                    {key: value for key, value in peer.items() if value is not None} for peer in row["peers"]
                ]
        return _text(_plain(content)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """Read back what `to_json` wrote.

        Raises:
            ValueError: the text holds another schema version.
        """
        content = json.loads(text)
        if content.get("schema") != SCHEMA:
            raise ValueError(f"benchmark results: expected schema {SCHEMA}, got {content.get('schema')}")
        return cls(
            benchmark=content["benchmark"],
            command=content["command"],
            reports=[
                Report(
                    report["machine"],
                    report["settings"],
                    [_row(row) for row in report["rows"]],
                    report.get("notes", []),
                )
                for report in content["reports"]
            ],
        )

    @classmethod
    def read(cls, path: str | Path) -> "Results":
        """Read a results file."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def _row(content: dict[str, Any]) -> Row:
    gflops = {int(threads): value for threads, value in content["matmul_gflops"].items()}
    return Row(**{**content, "matmul_gflops": gflops, "peers": [_peer(peer) for peer in content["peers"]]})


def _peer(content: dict[str, Any]) -> PeerResult:
    def spread(value: dict[str, float] | None) -> Quartiles | None:
        return None if value is None else Quartiles(**value)

    errors = {name: math.inf if error is None else error for name, error in content["errors"].items()}
    return PeerResult(
        **{
            **content,
            "errors": errors,
            **{name: spread(content.get(name)) for name in ("seconds", "ratio", "against_best", "cost")},
        }
    )


def _largest(errors: dict[str, float]) -> dict[str, float]:
    return dict(sorted(errors.items(), key=lambda item: item[1])[-1:])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _text(value: Any, indent: str = "") -> str:
    """JSON with an object on each line, as long as it is not very long: short, and good to compare."""
    line = json.dumps(value, allow_nan=False)
    if len(line) <= LINE or not isinstance(value, dict | list):
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_text(item, deeper)}" for key, item in value.items()]
        brackets = "{}"
    else:
        parts = [_text(item, deeper) for item in value]
        brackets = "[]"
    return f"{brackets[0]}\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}{brackets[1]}"
