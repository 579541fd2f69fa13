"""The data and the metrics of the tasks of accuracy.py."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from seqlight.data import CSVDataModule
from seqlight.metrics.functional import weighted_quantile_loss
from seqlight.metrics.probabilistic import NINE_LEVELS
from seqlight.predictor import Forecast, Predictor

Errors = dict[str, dict[str, float]]
"""Errors by metric, by model."""

MONTH = 30 * 24  # hours, as the usual protocol has it


@dataclass(frozen=True)
class Task:
    """Data, and the errors of predictors on a part of them.

    Attributes:
        title: what is forecast from what.
        data: ``data(folder, seed)``, a DataModule that is set up.
        errors: ``errors(predictors, data, part, folder)`` on ``"val"`` or ``"test"``.
    """

    title: str
    data: Callable[[Path, int], CSVDataModule]
    errors: Callable[[Mapping[str, Predictor], CSVDataModule, str, Path], Errors]


def windows_of(data: CSVDataModule, part: str) -> Iterable[dict[str, Tensor]]:
    """Return the batches of a part."""
    return data.val_dataloader() if part == "val" else data.test_dataloader()


# ETTh1, the protocol of Informer and of most papers since


def etth1(folder: Path, seed: int, *, context: int, horizon: int) -> CSVDataModule:
    """Twelve months for training, four for validation, four for the test, seven channels."""
    frame = pl.read_csv(folder / "ETTh1.csv")[: 20 * MONTH]
    data = CSVDataModule(
        frame,
        time_col="date",
        target_cols=[name for name in frame.columns if name != "date"],
        context_length=context,
        prediction_length=horizon,
        val_size=4 * MONTH,
        test_size=4 * MONTH,
        seed=seed,
    )
    data.setup("fit")
    return data


def standardised_errors(
    predictors: Mapping[str, Predictor], data: CSVDataModule, part: str, folder: Path
) -> Errors:
    """MSE and MAE over all windows, steps and channels, in deviations of the training part."""
    deviation = data.training_target()[0].double().std(0, unbiased=False)
    sums = {name: torch.zeros(2, dtype=torch.float64) for name in predictors}
    count = 0
    for batch in windows_of(data, part):
        count += batch["future_target"].numel()
        for name, predictor in predictors.items():
            error = (predictor.predict(batch).point.double() - batch["future_target"]) / deviation
            sums[name] += torch.stack([error.square().sum(), error.abs().sum()])
    return {
        name: dict(zip(("MSE", "MAE"), (both / count).tolist(), strict=True)) for name, both in sums.items()
    }


# Taxi passengers


def taxi(folder: Path, seed: int) -> CSVDataModule:
    """Half hours; a week in, a day out, with the hour and the day of the week."""
    data = CSVDataModule(
        folder / "taxi_new_york.csv",
        time_col="time",
        target_cols="#Passengers",
        context_length=336,
        prediction_length=48,
        calendar_features=["hour", "day_of_week"],
        seed=seed,
    )
    data.setup("fit")
    return data


def mase(predictors: Mapping[str, Predictor], data: CSVDataModule, part: str, folder: Path) -> Errors:
    """MASE over all windows, scaled on the training part."""
    sums = dict.fromkeys(predictors, 0.0)
    count = 0
    for batch in windows_of(data, part):
        count += batch["future_target"].numel()
        for name, predictor in predictors.items():
            error = (predictor.predict(batch).point.double() - batch["future_target"]).abs()
            sums[name] += float((error / batch["scale"].unsqueeze(1)).sum())
    return {name: {"MASE": total / count} for name, total in sums.items()}


# M4


def m4_rows(path: Path) -> dict[str, list[float]]:
    """Read a file in which each row is a series."""
    frame = pl.read_csv(path, infer_schema_length=0)
    return {
        row[0]: [float(cell) for cell in row[1:] if cell not in (None, "", "NA")] for row in frame.iter_rows()
    }


@dataclass(frozen=True)
class M4:
    """A part of the M4 competition: the names of its files, the step, horizon and season of its series."""

    name: str
    step: timedelta
    horizon: int
    season: int


WEEKLY = M4("m4_weekly", timedelta(weeks=1), 13, 1)
HOURLY = M4("m4_hourly", timedelta(hours=1), 48, 24)


def m4(folder: Path, seed: int, *, part: M4, context: int) -> CSVDataModule:
    """The training file alone; the validation part is its last two horizons. All series begin at one time."""
    columns: dict[str, list[Any]] = {"id": [], "time": [], "y": []}
    for name, values in m4_rows(folder / f"{part.name}_train.csv").items():
        columns["id"] += [name] * len(values)
        columns["time"] += [datetime(1960, 1, 4) + number * part.step for number in range(len(values))]
        columns["y"] += values
    data = CSVDataModule(
        pl.DataFrame(columns),
        time_col="time",
        target_cols="y",
        id_col="id",
        context_length=context,
        prediction_length=part.horizon,
        val_size=2 * part.horizon,
        test_size=0,
        season_length=part.season,
        origin="own",
        batch_size=256,
        seed=seed,
    )
    data.setup("fit")
    return data


def m4_errors(
    predictors: Mapping[str, Predictor], data: CSVDataModule, part: str, folder: Path, *, of: M4
) -> Errors:
    """M4's sMAPE (in per cent) and MASE (scaled on all before the forecast), means over series."""
    series = m4_rows(folder / f"{of.name}_train.csv")
    if part == "val":
        batches = [batch for batch in data.val_dataloader()]
        # The last origin of each series, whose steps are those that the competition would have asked for.
        kept = []
        for batch in batches:
            ends = torch.tensor(
                [len(series[data.series_ids[int(one)]]) - of.horizon for one in batch["series_index"]]
            )
            rows = batch["start"] == ends
            kept.append({name: value[rows] for name, value in batch.items()})
        batches = [batch for batch in kept if len(batch["start"])]
        future = None
    else:
        batches = list(data.predict_dataloader())
        future = m4_rows(folder / f"{of.name}_test.csv")
    errors: Errors = {}
    for name, predictor in predictors.items():
        smape, scaled = [], []
        for batch in batches:
            preds = predictor.predict(batch).point.double()[..., 0]
            for row, index in enumerate(batch["series_index"].tolist()):
                known = torch.tensor(series[data.series_ids[index]], dtype=torch.float64)
                if future is None:
                    came, known = known[-of.horizon :], known[: -of.horizon]
                else:
                    came = torch.tensor(future[data.series_ids[index]], dtype=torch.float64)
                off = (preds[row] - came).abs()
                smape.append(float((200 * off / (preds[row].abs() + came.abs())).mean()))
                changes = (known[of.season :] - known[: -of.season]).abs()
                scaled.append(float(off.mean() / changes.mean()))
        errors[name] = {
            "sMAPE": sum(smape) / len(smape),
            "MASE": sum(scaled) / len(scaled),
            "series": float(len(smape)),
        }
    return errors


# ETTh1 in the manner of GIFT-Eval's ett1/h/short

GIFT_WINDOWS, GIFT_HORIZON = 20, 48


def gift(folder: Path, seed: int, *, context: int) -> CSVDataModule:
    """Each column a series; the last 20 windows of 48 rows are the test, as many before them validation."""
    frame = pl.read_csv(folder / "ETTh1.csv").unpivot(index="date", variable_name="id", value_name="y")
    data = CSVDataModule(
        frame,
        time_col="date",
        target_cols="y",
        id_col="id",
        context_length=context,
        prediction_length=GIFT_HORIZON,
        val_size=GIFT_WINDOWS * GIFT_HORIZON,
        test_size=GIFT_WINDOWS * GIFT_HORIZON,
        batch_size=128,
        seed=seed,
    )
    data.setup("fit")
    return data


def gift_errors(predictors: Mapping[str, Predictor], data: CSVDataModule, part: str, folder: Path) -> Errors:
    """Mean over windows of MASE, season 24, scaled on all before each window; relative to seasonal naive.

    WQL is the mean weighted quantile loss over the levels 0.1 to 0.9, of all windows together; a predictor
    without quantiles repeats its point at each level.
    """
    dataset = data.dataset("val" if part == "val" else "test")
    store = data.store
    first = (data.split.train_stop if part == "val" else data.split.val_stop).tolist()
    sums = dict.fromkeys([*predictors, "seasonal naive"], 0.0)
    quantiles: dict[str, list[Tensor]] = {name: [] for name in sums}
    futures: list[Tensor] = []
    count = 0
    for numbers in torch.arange(len(dataset)).split(512):
        batch = dataset.__getitems__(numbers)
        begin = torch.tensor([first[int(one)] for one in batch["series_index"]])
        rows = ((batch["start"] - begin) % GIFT_HORIZON == 0).nonzero().flatten()
        if not len(rows):
            continue
        batch = {name: value[rows] for name, value in batch.items()}
        found = {
            name: predictor.predict(batch, quantile_levels=NINE_LEVELS)
            for name, predictor in predictors.items()
        }
        found["seasonal naive"] = Forecast(batch["past_target"][:, -24:].repeat(1, 2, 1))
        futures.append(batch["future_target"])
        for name, forecast in found.items():
            repeated = forecast.point.unsqueeze(-1).expand(*forecast.point.shape, len(NINE_LEVELS))
            quantiles[name].append(repeated if forecast.quantiles is None else forecast.quantiles)
        for row, (index, start) in enumerate(
            zip(batch["series_index"].tolist(), batch["start"].tolist(), strict=True)
        ):
            past = torch.from_numpy(store.series(index)[:start]).double()
            scale = (past[24:] - past[:-24]).abs().mean()
            count += 1
            for name, forecast in found.items():
                off = (forecast.point[row].double() - batch["future_target"][row]).abs().mean()
                sums[name] += float(off / scale)
    future = torch.cat(futures)
    losses = {
        name: float(weighted_quantile_loss(torch.cat(parts), future, NINE_LEVELS))
        for name, parts in quantiles.items()
    }
    naive = sums["seasonal naive"] / count
    return {
        name: {
            "MASE": sums[name] / count,
            "relative": sums[name] / count / naive,
            "WQL": losses[name],
            "WQL relative": losses[name] / losses["seasonal naive"],
            "windows": float(count),
        }
        for name in predictors
    }


TASKS = {
    "etth1": Task("ETTh1, 96 in, 96 out", partial(etth1, context=96, horizon=96), standardised_errors),
    **{
        f"etth1-{context}-{horizon}": Task(
            f"ETTh1, {context} in, {horizon} out",
            partial(etth1, context=context, horizon=horizon),
            standardised_errors,
        )
        for context in (336, 720)
        for horizon in (96, 192, 336, 720)
    },
    "taxi": Task("Taxi passengers, 336 half hours in, 48 out", taxi, mase),
    "m4-weekly": Task(
        "M4 weekly, 13 out", partial(m4, part=WEEKLY, context=104), partial(m4_errors, of=WEEKLY)
    ),
    "m4-hourly": Task(
        "M4 hourly, 48 out", partial(m4, part=HOURLY, context=240), partial(m4_errors, of=HOURLY)
    ),
    "etth1-gift": Task("ETTh1 as GIFT-Eval's ett1/h/short, 48 out", partial(gift, context=336), gift_errors),
}
