"""Trainings side by side, each in a process of its own on one thread.

Steps of networks this small take a millisecond or two: a second thread gains little within one, while two
trainings at the same time take half as long as one after the other.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from typing import Any, TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")
Report = Callable[[Any], None]

_reports: Any = None


def run_side_by_side(
    function: Callable[[Task, Report], Result], tasks: Sequence[Task], workers: int, report: Report
) -> list[Result]:
    """Return ``function(task, report)`` of every task, in their order.

    Args:
        function: of a module, so that another process finds it.
        tasks: its first arguments; they are begun in this order.
        workers: number of processes; with 1 all is done in this one.
        report: is called here with whatever a function reports on its way.
    """
    if workers == 1:
        torch.set_num_threads(1)
        return [function(task, report) for task in tasks]
    context = multiprocessing.get_context("spawn")
    reports = context.SimpleQueue()
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(reports,)) as pool:
        futures = [pool.submit(_call, function, task) for task in tasks]
        running = set(futures)
        try:
            while running:
                done, running = wait(running, timeout=0.2)
                while not reports.empty():
                    report(reports.get())
                for future in done:
                    future.result()  # raises what the task raised, rather than after all others
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _start(reports: Any) -> None:
    """Prepare a worker process."""
    global _reports
    _reports = reports
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that began it has ended, however that was: nobody waits for the rest."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Any, Report], Any], task: Any) -> Any:
    """Do a task of a worker process."""
    return function(task, _reports.put)
