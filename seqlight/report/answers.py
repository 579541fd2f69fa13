"""The two sentences that a report begins with, and the numbers beside them."""

from collections.abc import Mapping, Sequence

import numpy as np

from seqlight.report.inputs import PastForecasts, Series
from seqlight.report.model import Coverage, Fact, HiddenErrors, ModelRow
from seqlight.report.names import plain
from seqlight.report.numbers import Digits, count, percent, ratio, time_text

LITTLE = 0.005  # relative difference that is called none
STEPS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day", 604_800: "week"}
PERIODS = {"minute": (10_080, "week"), "hour": (168, "week"), "day": (7, "week")}
PERIODS |= {"week": (52, "year"), "month": (12, "year"), "quarter": (4, "year")}
LONG_STEPS = {"month": (28, 31), "quarter": (90, 92), "year": (365, 366)}  # days


def step_name(series: Sequence[Series]) -> str:
    """What one step of the data is: "hour", "month", or "step" where it has no such name."""
    for one in series:
        time = one.time if len(one.time) > 2 else np.concatenate([one.time, one.forecast_time])
        if time.dtype.kind != "M" or len(time) < 2:
            continue
        differences = np.diff(time[-400:]).astype("timedelta64[s]").astype(np.int64)
        low, high = int(differences.min()), int(differences.max())
        if low == high and low in STEPS:
            return STEPS[low]
        for name, (least, most) in LONG_STEPS.items():
            if least * 86_400 <= low <= high <= most * 86_400:
                return name
        return "step"
    return "step"


def expectation(
    series: Sequence[Series], digits: Sequence[Digits], step: str, season_length: int, style: str
) -> str:
    """What is forecast, beside what was before."""
    horizon = len(series[0].forecast)
    span = f"the next {count(horizon, step)}" if horizon > 1 else f"the next {step}"
    until = max(one.forecast_time[-1] for one in series if len(one.forecast_time))
    span += f", to {time_text(until, style)},"
    shift, compared = compared_with(series, step, season_length)
    pairs = [(mean(one.forecast), mean(before(one, shift))) for one in series]
    if len({one.unit for one in series}) > 1:
        higher = sum(new > old * (1 + LITTLE) for new, old in pairs)
        lower = sum(new < old * (1 - LITTLE) for new, old in pairs)
        return (
            f"Over {span} {count(higher, 'series', 'series')} of {len(series):,} are forecast higher than "
            f"{compared}, and {lower:,} lower."
        )
    known = sum(int(np.isfinite(before(one, shift)).sum()) for one in series)
    wanted = sum(len(one.forecast) for one in series)
    new, old = mean([pair[0] for pair in pairs]), mean([pair[1] for pair in pairs])
    several = f" of the {len(series):,} series" if len(series) > 1 else ""
    unit, own = plain(series[0].unit), digits[0]
    sentence = f"Over {span} {unit}{several} is forecast to average {own.text(new)}"
    if 2 * known < wanted:  # so few say little
        return f"{sentence}."
    if known < wanted:  # months that are compared are the same on both sides
        like = [matched(one, before(one, shift)) for one in series]
        then = change(mean([one for one, _ in like]), mean([one for _, one in like]))
        few = f", of which {known:,} of {wanted:,} values are known"
        return f"{sentence}, against {own.text(old)} {compared}{few}{then.replace(')', ' over these)')}."
    return f"{sentence}, against {own.text(old)} {compared}{change(new, old)}."


def matched(series: Series, values: np.ndarray) -> tuple[float, float]:
    """Means of the forecast and of the values before, over the steps where both are known."""
    both = np.isfinite(values) & np.isfinite(series.forecast[: len(values)])
    return mean(series.forecast[: len(values)][both]), mean(values[both])


def compared_with(series: Sequence[Series], step: str, season_length: int) -> tuple[int, str]:
    """How many steps back the known values lie that a forecast is set beside, and what they are called.

    Those a week or a year before, where the steps are such; else those a season before; else the last ones.
    """
    horizon = len(series[0].forecast)
    period, name = PERIODS.get(step, (0, ""))
    shortest = min(len(one.values) for one in series)
    if period and horizon <= period <= shortest:
        return period, f"in the same {step}{'s' * (horizon > 1)} a {name} before"
    if (
        season_length > 1
        and horizon % season_length
        and (shift := -(-horizon // season_length) * season_length)
    ):
        seasons = shift // season_length
        far = "a season" if seasons == 1 else f"{seasons} seasons"
        return seasons * season_length, f"in the same {step}s {far} before"
    return horizon, f"in the {count(horizon, step)} before"


def before(series: Series, shift: int) -> np.ndarray:
    """The known values that lie ``shift`` steps before the forecast."""
    begin = len(series.values) - shift
    return series.values[max(0, begin) : max(0, begin + len(series.forecast))]


def change(new: float, old: float) -> str:
    """`` (+4 %)``; nothing where a percentage says nothing."""
    if not old > 0 or not np.isfinite(new):
        return ""
    share = new / old - 1
    if abs(share) < LITTLE:
        return " (about the same)"
    return f" ({'+' if share > 0 else ''}{percent(share)})"


def mean(values: object) -> float:
    """The mean of what is finite."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")


def trust(models: Sequence[ModelRow], past: PastForecasts | None, digits: Digits) -> str:
    """How far past forecasts were off, beside the best other model."""
    chosen = next((row for row in models if row.chosen), None)
    if chosen is None or past is None or not np.isfinite(size(chosen)):
        return "No forecast of the past could be checked, so nothing is known of its errors."
    windows = count(len(past.target), "past forecast")
    off = size_text(chosen, digits)
    sentence = f"In {windows} that it was not trained on, {plain(chosen.name)} was off by {off} on average"
    other = best_other(models)
    if other is None:
        return f"{sentence}; no other model was there to compare with."
    share = other_share(chosen, other)
    theirs = size_text(other, digits)
    if share > 2:
        times = f"{1 + share:,.0f} times as much as"
        return f"{sentence}, {times} the best of the others: {plain(other.name)}, {theirs}."
    if share < -LITTLE:
        return f"{sentence}, {percent(-share)} less than the next best: {plain(other.name)}, {theirs}."
    if share > LITTLE:
        return (
            f"{sentence}, {percent(share)} more than the best of the others: {plain(other.name)}, {theirs}."
        )
    return f"{sentence}, as was the best of the others: {plain(other.name)}, {theirs}."


def deciding(models: Sequence[ModelRow]) -> str:
    """The error that models are set against each other by: MASE where there is one, else MAE."""
    return "MASE" if any(np.isfinite(row.errors.get("MASE", np.nan)) for row in models) else "MAE"


def size(row: ModelRow) -> float:
    """The mean size of a model's errors: its MAE, or its MASE where columns may differ in their units."""
    return row.errors.get("MAE", row.errors.get("MASE", np.nan))


def size_text(row: ModelRow, digits: Digits) -> str:
    """The same as text."""
    if "MAE" in row.errors:
        return digits.error(row.errors["MAE"])
    return f"{ratio(size(row))} times the scale of each series (MASE)"


def best_other(models: Sequence[ModelRow]) -> ModelRow | None:
    """The best model that was not chosen."""
    by = deciding(models)
    others = [row for row in models if not row.chosen and np.isfinite(row.errors.get(by, np.nan))]
    return min(others, key=lambda row: row.errors[by], default=None)


def other_share(chosen: ModelRow, other: ModelRow) -> float:
    """How much more than the other's the chosen model's error is, as a share of it."""
    theirs = size(other)
    return size(chosen) / theirs - 1 if theirs > 0 else 0.0


def comparison(
    models: Sequence[ModelRow], past: PastForecasts, digits: Digits, style: str
) -> tuple[str, str]:
    """The two sentences of a backtest or a comparison: who won, and how surely."""
    by = deciding(models)
    ranked = sorted(models, key=lambda row: np.nan_to_num(row.errors[by], nan=np.inf))
    best = ranked[0]
    begins = past.time[:, 0]
    times = len(np.unique(begins))
    begin = time_text(begins.min(), style)
    if times > 1:
        begin = f"{count(times, 'time')} between {begin} and {time_text(begins.max(), style)}"
    made = f"{count(len(past.target), 'forecast')} of {count(past.target.shape[1], 'step')}"
    first = (
        f"{plain(best.name)} has the lowest error of {count(len(models), 'model')} in {made} that "
        f"begin{'s' * (len(past.target) == 1)} at {begin}: off by {size_text(best, digits)} on average."
    )
    if len(ranked) < 2 or not np.isfinite(ranked[1].errors[by]):
        return first, "No other model was there to compare with."
    next_best = ranked[1]
    wins, judged = wins_by_window(past, best.name, next_best.name)
    share = other_share(best, next_best)
    second = f"That is {percent(abs(share))} {'less' if share <= 0 else 'more'} than {plain(next_best.name)}"
    if judged > 1:
        second += f", and lower in {percent(wins / judged)} of the single forecasts"
    return first, f"{second}{'' if share <= 0 else f'; by {by}, which weighs all series alike, it is lower'}."


def wins_by_window(past: PastForecasts, one: str, other: str) -> tuple[int, int]:
    """In how many windows the one's absolute error is below the other's, and in how many both have one."""

    def errors(name: str) -> np.ndarray:
        off = np.abs(past.preds[name] - past.target)
        return np.where(np.isfinite(off).any(1), np.nansum(off, 1), np.nan)

    mine, theirs = errors(one), errors(other)
    known = np.isfinite(mine) & np.isfinite(theirs)
    return int((mine[known] < theirs[known]).sum()), int(known.sum())


def filling(
    series: Sequence[Series], hidden: Sequence[HiddenErrors], digits: Mapping[str, Digits]
) -> tuple[str, str]:
    """The two sentences of a report on filled gaps."""
    filled = sum(int(one.filled.sum()) for one in series if one.filled is not None)
    left = sum(int(np.isnan(one.values).sum()) for one in series)
    cells = sum(len(one.values) for one in series)
    first = f"{count(filled, 'missing value')} of {cells:,} ({percent(filled / cells if cells else 0.0)}) "
    first += f"in {count(len(series), 'series', 'series')} {'has' if filled == 1 else 'have'} been filled"
    first += f", and {left:,} stay empty." if left else "."
    chosen = [row for row in hidden if row.chosen]
    if not chosen:
        return first, "No known value was hidden to measure errors, so nothing is known of them."
    parts = []
    for row in chosen[:3]:
        others = [one for one in hidden if one.column == row.column and not one.chosen]
        best = min(others, key=lambda one: np.nan_to_num(one.errors["MAE"], nan=np.inf), default=None)
        of = f"{plain(row.column)}: " if len(chosen) > 1 else ""
        own = digits[row.column]
        text = f"{of}{plain(row.method)} was off by {own.error(row.errors['MAE'])} on average"
        if best is not None:
            text += f", {plain(best.method)} by {own.error(best.errors['MAE'])}"
        parts.append(text)
    more = f"; {len(chosen) - 3} more columns are below" if len(chosen) > 3 else ""
    known = count(sum(row.cells for row in chosen), "known value")
    return first, f"On {known} that were hidden to measure errors, {'; '.join(parts)}{more}."


def facts_of_errors(
    models: Sequence[ModelRow], digits: Digits, unit: str, coverage: Sequence[Coverage]
) -> list[Fact]:
    """Numbers of the first screen about the errors."""
    chosen = next((row for row in models if row.chosen), None)
    if chosen is None or not np.isfinite(size(chosen)):
        return []
    found = []
    if "MAE" in chosen.errors:
        note = f"{plain(unit)}, mean of |error|" if unit else f"MAE of {plain(chosen.name)}"
        found.append(Fact(label="typical error", value=digits.error(chosen.errors["MAE"]), note=note))
    other = best_other(models)
    if other is not None:
        share = other_share(chosen, other)
        sign = "+" if share > 0 else ""
        found.append(Fact(label="against the next best", value=f"{sign}{percent(share)}", note=other.name))
    if np.isfinite(chosen.errors.get("MASE", np.nan)):
        found.append(
            Fact(label="MASE", value=ratio(chosen.errors["MASE"]), note="below 1 beats the seasonal naive")
        )
    if coverage:
        widest = coverage[-1]
        found.append(
            Fact(
                label=f"{widest.level:g} % band held",
                value=percent(widest.inside),
                note=f"of {widest.cells:,} past values",
            )
        )
    return found
