"""Programs run one after the other, each with a time limit within a common one, its output in a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """One program.

    Attributes:
        name: of the part and of its log, ``<name>.log``.
        command: what is run.
        limit: seconds it may take.
        environment: variables set for it.
        obstacle: why it cannot run, or None.
        optional: whether an obstacle is no failure.
        beside: whether it runs beside those that follow.
        alone: whether those that run beside must have ended before it begins.
    """

    name: str
    command: Sequence[str]
    limit: float
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: str | None = None
    optional: bool = False
    beside: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a part ended: ``"passed"``, ``"failed"``, ``"out of time"`` or ``"left out"``, and why."""

    name: str
    status: str
    seconds: float
    detail: str

    @property
    def failed(self) -> bool:
        """Whether something is wrong."""
        return self.status not in ("passed", "left out")


def run_parts(parts: Sequence[Part], folder: Path, *, total: float) -> list[Outcome]:
    """Run every part, also after one that failed, within `total` seconds for all."""
    outcomes: list[Outcome] = []
    beside: list[Future[Outcome]] = []
    deadline = time.monotonic() + total

    def note(outcome: Outcome) -> None:
        print(f"== {outcome.name}: {outcome.status}, {outcome.seconds:.0f} s. {outcome.detail}", flush=True)
        outcomes.append(outcome)

    def note_beside() -> None:
        while beside:
            note(beside.pop(0).result())

    with ThreadPoolExecutor() as threads:
        for part in parts:
            if part.alone:
                note_beside()
            print(f"== {part.name}", flush=True)
            limit = min(part.limit, deadline - time.monotonic())
            if part.beside:
                beside.append(threads.submit(_run, part, folder, limit))
            else:
                note(_run(part, folder, limit))
        note_beside()
    return outcomes


def _run(part: Part, folder: Path, limit: float) -> Outcome:
    if part.obstacle is not None:
        return Outcome(part.name, "left out" if part.optional else "failed", 0.0, part.obstacle)
    if limit <= 0:
        return Outcome(part.name, "out of time", 0.0, "the parts before took all of it")
    begin = time.monotonic()
    log = folder / f"{part.name}.log"
    with log.open("w") as output:
        # a session of its own, so that what the program has started ends with it
        process = subprocess.Popen(
            part.command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **part.environment},
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    seconds = time.monotonic() - begin
    if code is None:
        return Outcome(part.name, "out of time", seconds, f"stopped after {limit:.0f} s; see {log.name}")
    if code != 0:
        print("\n".join(lines[-30:]), file=sys.stderr, flush=True)
    detail = lines[-1][:200] if lines else ""
    return Outcome(part.name, "failed" if code else "passed", seconds, detail)
