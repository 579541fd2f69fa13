"""Every metric with windows to update it with; as a program, two processes that share the windows."""

import os
import sys

import torch

from seqlight import metrics

WINDOWS, HORIZON, SERIES = 10, 3, 3


def made(**parts):
    """The metrics by name."""
    return {
        "mae": metrics.MaskedMeanAbsoluteError(**parts),
        "rmse": metrics.MaskedMeanSquaredError(squared=False, **parts),
        "smape": metrics.MaskedSymmetricMeanAbsolutePercentageError(**parts),
        "mre": metrics.MaskedMeanRelativeError(**parts),
        "mase": metrics.MeanAbsoluteScaledError(**parts),
        "rmsse": metrics.RootMeanSquaredScaledError(**parts),
        "owa": metrics.OverallWeightedAverage(**parts),
        "bias": metrics.MeanError(**parts),
        "wql": metrics.WeightedQuantileLoss([0.1, 0.9], **parts),
        "crps": metrics.ContinuousRankedProbabilityScore([0.1, 0.9], **parts),
        "coverage": metrics.IntervalCoverage(**parts),
        "interval": metrics.IntervalScore(80, **parts),
        "change": metrics.MeanAbsoluteScaledChange(**parts),
    }


def case():
    """Windows of several series, in no order, with missing cells."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(WINDOWS, HORIZON, 2, generator=generator) + 1
    preds = target + torch.randn(WINDOWS, HORIZON, 2, generator=generator) / 5
    other = target + torch.randn(WINDOWS, HORIZON, 2, generator=generator) / 5
    mask = torch.rand(WINDOWS, HORIZON, 2, generator=generator) < 0.8
    series = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 0, 1])
    start = torch.tensor([5, 5, 5, 7, 6, 6, 6, 8, 8, 7])
    scale = torch.rand(3, 2, generator=generator)[series] + 0.5
    return {
        "preds": preds,
        "target": target,
        "other": other,
        "mask": mask,
        "series": series,
        "start": start,
        "scale": scale,
    }


def arguments(name, case, rows):
    """What a metric is updated with."""
    c = {key: values[rows] for key, values in case.items()}
    quantiles = torch.stack([c["preds"] - 0.2, c["preds"] + 0.2], -1)
    if name == "change":
        return (c["preds"], c["scale"], c["series"], c["start"])
    known = (c["mask"], c["series"])
    if name in ("mase", "rmsse"):
        return (c["preds"], c["target"], c["scale"], *known)
    if name == "owa":
        return (c["preds"], c["target"], c["other"], c["scale"], *known)
    if name in ("wql", "crps"):
        return (quantiles, c["target"], *known)
    if name in ("coverage", "interval"):
        return (quantiles[..., 0], quantiles[..., 1], c["target"], *known)
    return (c["preds"], c["target"], *known)


PARTS = ({}, {"by": "step", "size": HORIZON}, {"by": "series", "size": SERIES})


def results(rows):
    """What every metric says of the windows ``rows``, and of all processes where there are several."""
    data = case()
    found = []
    for parts in PARTS:
        for name, metric in made(**parts).items():
            for batch in rows.split(2):
                metric.update(*arguments(name, data, batch))
            found.append(metric.compute())
    return found


if __name__ == "__main__":
    folder = sys.argv[1]
    child = os.fork()  # before any computation, so that one import serves both
    rank = 0 if child else 1
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # Of unequal size, and one series' windows in both.
    mine = torch.arange(WINDOWS)[:7] if rank == 0 else torch.arange(WINDOWS)[7:]
    torch.save(results(mine), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
