"""Sentences about trainings."""

from typing import Any

from seqlight.experiments import Fitted


def epochs_summary(fitted: Fitted[Any], max_time: float) -> str:
    """Say how many epochs a training had, which was the best, and why it ended before its end."""
    run = fitted.epochs
    summary = (
        f"{run} epoch{'s' * (run != 1)} in {fitted.seconds:.1f} s, the best was number {fitted.best_epoch}"
    )
    return summary + ending(fitted, max_time, f"in epoch {run} of {fitted.limit.partition(' ')[0]}")


def steps_summary(fitted: Fitted[Any], max_time: float) -> str:
    """Say how many steps a training had, after which it was best, and why it ended before its end."""
    summary = f"{fitted.steps} steps in {fitted.seconds:.1f} s, the best was after {fitted.best_step}"
    return summary + ending(fitted, max_time, f"after {fitted.steps} of {fitted.limit}")


def ending(fitted: Fitted[Any], max_time: float, where: str) -> str:
    """Say that the time, or a loss that is not finite, ended a training; "" where neither did."""
    if fitted.failure is not None:
        return f"; training ended in {fitted.failure.where}, for {fitted.failure.what}"
    if fitted.ended == "time":
        return f"; stopped by --max-time {max_time:g} {where}; more time may give a better model"
    return ""
