"""Write the demonstration CSV of ``seqlight forecast --demo``: hourly electricity demand of three regions.

Everything in the file is invented by this script, so it can be redistributed freely. Each region's demand
[MW] is the product of a level with a trend, a daily shape that differs between working days and weekends, and
a slow random factor (the "weather", a first-order autoregression with a time constant of about two days),
plus measurement noise. Some cells are empty, a few rows are absent, and one region's meter
fails for ten hours.

    python examples/make_demand.py            # rewrites the file inside the package
    python examples/make_demand.py my.csv
"""

import sys
from pathlib import Path

import numpy as np

PACKAGED = Path(__file__).resolve().parent.parent / "seqlight" / "cli" / "demand.csv"
START = np.datetime64("2024-01-01T00:00")  # a Monday
WEEKS = 16

# name: level [MW], growth over the whole period, hour of the evening peak, depth of the weekend's dip
REGIONS = {
    "coast": (420.0, 0.16, 20.0, 0.06),
    "north": (1250.0, 0.08, 18.0, 0.20),
    "valley": (760.0, -0.05, 19.0, 0.13),
}


def bump(hour: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A bell around ``centre`` on the 24-hour circle, of height 1 and the given width in hours."""
    distance = (hour - centre + 12.0) % 24.0 - 12.0
    return np.exp(-0.5 * (distance / width) ** 2)


def weekend_share(step: np.ndarray) -> np.ndarray:
    """1 on Saturdays and Sundays, 0 on working days, with a passage of five hours around each midnight."""
    share = np.zeros(len(step))
    for shift in range(-2, 3):
        share += ((step + shift) // 24 % 7 >= 5) / 5.0
    return share


def daily_shape(hour: np.ndarray, weekend: np.ndarray, evening: float, dip: float) -> np.ndarray:
    """Demand relative to the level: a morning and an evening peak; late, low mornings at weekends."""
    working = (
        0.70 + 0.38 * bump(hour, 8.0, 2.0) + 0.22 * bump(hour, 13.0, 3.5) + 0.45 * bump(hour, evening, 2.2)
    )
    resting = 0.70 + 0.25 * bump(hour, 11.0, 3.0) + 0.36 * bump(hour, evening, 2.6) - dip
    return working + weekend * (resting - working)


def autoregression(rng: np.random.RandomState, count: int, *, decay: float, deviation: float) -> np.ndarray:
    """AR(1) noise with stationary standard deviation ``deviation``."""
    shocks = rng.standard_normal(count) * deviation * np.sqrt(1.0 - decay**2)
    values = np.empty(count)
    values[0] = rng.standard_normal() * deviation
    for step in range(1, count):
        values[step] = decay * values[step - 1] + shocks[step]
    return values


def rows(seed: int = 15) -> list[str]:
    """The lines of the file, header first. One seed gives the same for ever: NumPy's frozen generator."""
    rng = np.random.RandomState(seed)
    count = WEEKS * 7 * 24
    step = np.arange(count)
    hour = (step % 24).astype(float)
    weekend = weekend_share(step)
    lines = ["timestamp,region,demand"]
    for name, (level, growth, evening, dip) in REGIONS.items():
        trend = level * (1.0 + growth * step / count)
        weather = 1.0 + autoregression(rng, count, decay=float(np.exp(-1 / 48)), deviation=0.05)
        noise = rng.standard_normal(count) * 0.012 * level
        demand = trend * daily_shape(hour, weekend, evening, dip) * weather + noise
        empty = rng.random_sample(count) < 0.008
        if name == "valley":
            outage = 9 * 168 + 57
            empty[outage : outage + 10] = True
        absent = rng.random_sample(count) < 0.002
        absent[[0, -1]] = empty[[0, -1]] = False
        for index in step[~absent]:
            time = str(START + np.timedelta64(int(index), "h")).replace("T", " ")
            value = "" if empty[index] else f"{demand[index]:.0f}"
            lines.append(f"{time},{name},{value}")
    return lines


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGED
    path.write_text("\n".join(rows()) + "\n", encoding="utf-8", newline="\n")
    print(f"wrote {path}")
