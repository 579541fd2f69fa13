"""The measured figures as a Markdown table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEADER = (
    *("work", "case", "dtype", "mode", "implementation", "ms", "speed", "floor, ms", "floor / time", "graph"),
    *("error", "remark"),
)


@dataclass
class Figure:
    """What was found of one implementation.

    Attributes:
        work: name of the family, as "LSTM".
        case: its sizes.
        dtype: "float32", "tf32" (float32 with TF32 products allowed) or "bfloat16".
        mode: "forward" or "training".
        name: of the implementation.
        ours: whether it is seqlight's.
        baseline: whether speeds are told relative to it.
        milliseconds: median time for a unit of work, None where it was not timed.
        floor: milliseconds below which the measured ceilings of the device let nobody come.
        graph: whether what was timed is the replay of a CUDA graph.
        error: largest relative error to the float64 reference.
        remark: why it was not timed, or what the reader should know.
    """

    work: str
    case: str
    dtype: str
    mode: str
    name: str
    ours: bool
    baseline: bool
    milliseconds: float | None = None
    floor: float | None = None
    graph: bool = False
    error: float | None = None
    remark: str = ""

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What figures must share to be compared."""
        return self.work, self.case, self.dtype, self.mode


def as_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Plain values."""
    return [asdict(figure) for figure in figures]


def markdown(figures: Sequence[Figure], machine: Mapping[str, Any], outcomes: Sequence[str] = ()) -> str:
    """One page: the machine, how the parts ended, one line for each figure.

    Speeds are relative to the baseline of the same case: above 1 is faster.
    """
    baselines = {
        figure.row: figure.milliseconds for figure in figures if figure.baseline and figure.milliseconds
    }
    lines = ["# Speed on a GPU", ""]
    lines += [f"- {key}: {value}" for key, value in machine.items()]
    lines += [f"- {outcome}" for outcome in outcomes]
    lines += ["", "| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    lines += ["| " + " | ".join(_cells(figure, baselines.get(figure.row))) + " |" for figure in figures]
    return "\n".join(lines) + "\n"


def _cells(figure: Figure, baseline: float | None) -> list[str]:
    time, floor = figure.milliseconds, figure.floor
    return [
        *figure.row,
        f"**{figure.name}**" if figure.ours else figure.name,
        "" if time is None else _digits(time),
        f"{baseline / time:.2f}" if baseline and time else "",
        "" if floor is None else _digits(floor),
        f"{floor / time:.0%}" if floor and time else "",
        "yes" if figure.graph else "",
        "" if figure.error is None else f"{figure.error:.0e}",
        figure.remark.replace("|", "/").replace("\n", " "),
    ]


def _digits(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
