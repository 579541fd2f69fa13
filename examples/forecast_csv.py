"""``seqlight forecast --model lstm`` written out: from a CSV to a table of errors, a forecast and a picture.

    python examples/forecast_csv.py                            # hourly demand of three regions
    python examples/forecast_csv.py data.csv ds y --epochs 20  # your own columns of times and values

Every step is an ordinary object of Lightning or seqlight; change what you like.
"""

import argparse
from pathlib import Path

import numpy as np
from lightning import Trainer
from matplotlib.figure import Figure

import seqlight
from seqlight.callbacks import ForecastWriter, forecast_frame
from seqlight.data import CSVDataModule
from seqlight.evaluation import compare
from seqlight.experiments import fit
from seqlight.models import LinearForecaster, LSTMForecaster, NaiveForecaster, SeasonalNaiveForecaster

DEMAND = Path(seqlight.__file__).parent / "cli" / "demand.csv"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", nargs="?", default=DEMAND, type=Path)
    parser.add_argument("time_col", nargs="?", default="timestamp")
    parser.add_argument("target_col", nargs="?", default="demand")
    parser.add_argument("--id-col", default=None)
    parser.add_argument("--context", type=int, default=168)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument(
        "--out", type=Path, default=Path(), help="folder of forecast.csv, forecast.png, checkpoints"
    )
    given = parser.parse_args()
    if given.csv == DEMAND:
        given.id_col = "region"
    return given


def main() -> None:
    """Train, compare, forecast, draw."""
    given = arguments()
    data = CSVDataModule(
        given.csv,
        time_col=given.time_col,
        target_cols=given.target_col,
        id_col=given.id_col,
        context_length=given.context,
        prediction_length=given.horizon,
        missing="mask",  # empty cells are allowed, and left out of loss and errors
        calendar_features=["hour", "day_of_week"],
    )
    sizes = {
        "context_length": data.context_length,
        "prediction_length": data.prediction_length,
        "target_size": data.target_size,
        "future_covariate_size": data.future_covariate_size,
        "observed_indicator": data.observed_indicator,
    }
    fitted = fit(  # clipped gradients, early stopping, the checkpoint of the best epoch
        lambda: LSTMForecaster(
            **sizes, hidden_size=given.hidden_size, peephole=True, lr=1e-2, lr_schedule="one_cycle"
        ),
        data,
        seed=0,
        epochs=given.epochs,
        folder=given.out / "checkpoints",
        progress=True,
    )
    model = fitted.model
    print(f"epoch {fitted.best_epoch} of {fitted.limit} was best, validation loss {fitted.val_loss:.4g}")

    forecasters = {
        "peephole LSTM": model,
        "linear": LinearForecaster(**sizes).solve(data.train_dataloader()),
        "seasonal naive": SeasonalNaiveForecaster(season_length=data.season_length, **sizes),
        "naive": NaiveForecaster(**sizes),
    }
    print(f"{'':<16}{'MAE':>10}{'RMSE':>10}{'MASE':>8}{'sMAPE':>8}   season {data.season_length}")
    for row in compare(forecasters, data):
        print(
            f"{row['model']:<16}{row['mae']:>10.4g}{row['rmse']:>10.4g}{row['mase']:>8.3f}{row['smape']:>8.2%}"
        )

    trainer = Trainer(callbacks=[ForecastWriter(given.out / "forecast.csv")], logger=False)
    predictions = trainer.predict(model, data)
    draw(data, forecast_frame(predictions, data)[given.target_col].to_numpy()).savefig(
        given.out / "forecast.png"
    )
    print(f"wrote forecast.csv and forecast.png to {given.out.resolve()}")


def draw(data: CSVDataModule, forecast: np.ndarray) -> Figure:
    """One panel for each series: a week of history, then the forecast [S * H]."""
    panels = []
    horizon = data.prediction_length
    for index, name in enumerate(data.series_ids):
        times, values = data.history(index, 7 * horizon)
        end = len(data.store.series(index))
        panels.append(
            seqlight.plot.ForecastPanel(
                title=name,
                unit=data.target_cols[0],
                history_time=times.to_numpy(),
                history=values[:, 0],
                forecast_time=data.timestamps(index, end, horizon).to_numpy(),
                forecast=forecast[index * horizon : (index + 1) * horizon],
            )
        )
    return seqlight.plot.forecast(panels, title=f"The next {horizon} steps")


if __name__ == "__main__":
    main()
