import datetime
import stat
import warnings

import polars as pl
import pytest
import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from seqlight.callbacks import ForecastWriter, forecast_frame, samples_frame
from seqlight.models import LinearForecaster, NaiveForecaster


class Hourly(LightningDataModule):
    """Two series of two channels, hourly; ``origins`` windows of each, one step apart."""

    series_ids = ("north", "south")
    target_cols = ("load", "price")
    id_col = "region"
    time_col = "time"

    def __init__(self, origins=1):
        super().__init__()
        self.origins = origins

    def timestamps(self, series_index, start, count):
        first = datetime.datetime(2024, 1, 1 + series_index) + datetime.timedelta(hours=start)
        return pl.datetime_range(
            first, first + datetime.timedelta(hours=count - 1), "1h", eager=True, time_unit="us"
        )

    def predict_dataloader(self):
        past = torch.arange(8.0).reshape(1, 4, 2).repeat(2, 1, 1) + torch.tensor([0.0, 100.0]).reshape(
            2, 1, 1
        )
        batches = [
            {
                "past_target": past + origin,
                "series_index": torch.arange(2),
                "start": torch.full((2,), 4 + origin),
            }
            for origin in range(self.origins)
        ]
        return DataLoader(batches, batch_size=None)


def predict(datamodule, path):
    for message in (".*does not have many workers", "Couldn't infer the batch indices"):
        warnings.filterwarnings("ignore", message)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[ForecastWriter(path)],
    )
    naive = NaiveForecaster(context_length=4, prediction_length=3, target_size=2)
    return trainer.predict(naive, datamodule=datamodule, return_predictions=True)


def test_csv_has_ids_timestamps_and_targets(tmp_path):
    path = tmp_path / "new" / "forecast.csv"
    predict(Hourly(), path)
    assert [file.name for file in path.parent.iterdir()] == ["forecast.csv"]
    assert path.stat().st_mode & stat.S_IRUSR
    table = pl.read_csv(path, try_parse_dates=True)
    assert table.columns == ["region", "time", "load", "price"]
    assert table["region"].to_list() == ["north"] * 3 + ["south"] * 3
    assert table["time"].to_list() == [
        datetime.datetime(2024, 1, day, hour) for day in (1, 2) for hour in (4, 5, 6)
    ]
    assert table["load"].to_list() == [6.0] * 3 + [106.0] * 3
    assert table["price"].to_list() == [7.0] * 3 + [107.0] * 3


def test_several_windows_of_a_series_are_told_apart(tmp_path):
    table = forecast_frame(predict(Hourly(origins=2), tmp_path / "forecast.csv"), Hourly())
    assert table.columns == ["region", "time", "window_start", "load", "price"]
    assert len(table) == 12
    starts = table.filter(pl.col("region") == "north")["window_start"]
    assert starts.to_list() == [datetime.datetime(2024, 1, 1, hour) for hour in (4, 4, 4, 5, 5, 5)]


def test_datamodule_formats_its_own_times(tmp_path):
    class Formatting(Hourly):
        def format_timestamps(self, times):
            return times.dt.strftime("%d/%m/%Y %Hh").to_list()

    predict(Formatting(), tmp_path / "forecast.csv")
    assert pl.read_csv(tmp_path / "forecast.csv")["time"][0] == "01/01/2024 04h"


def test_no_forecast_is_an_empty_cell_and_one_line(tmp_path):
    """Of one channel of one series, as where nothing of its past is known."""
    path = tmp_path / "forecast.csv"
    predictions = predict(Hourly(), path)
    predictions[0]["prediction"] = predictions[0]["prediction"].clone()
    predictions[0]["prediction"][1, 1:, 1] = torch.nan
    writer = ForecastWriter(path)
    with pytest.warns(UserWarning, match="no forecast of series 'south': cells are empty") as caught:
        writer.write(predictions, Hourly())
    assert len(caught) == 1
    assert path.read_text().splitlines()[4:] == [
        "south,2024-01-02T04:00:00.000000,106.0,107.0",
        "south,2024-01-02T05:00:00.000000,106.0,",
        "south,2024-01-02T06:00:00.000000,106.0,",
    ]


def test_datamodule_is_needed_before_any_work(tmp_path):
    with pytest.raises(
        TypeError, match=r"ForecastWriter needs a DataModule with series_ids.*lacks series_ids"
    ):
        predict(
            type("Bare", (LightningDataModule,), {"predict_dataloader": Hourly().predict_dataloader})(),
            tmp_path,
        )


def test_no_predictions_are_named():
    with pytest.raises(ValueError, match="predictions: expected at least one batch"):
        forecast_frame([], Hourly())


def test_what_has_no_known_past_is_left_empty_and_named(tmp_path):
    class Dead(Hourly):
        def predict_dataloader(self):
            batches = super().predict_dataloader().dataset
            for batch in batches:
                batch["past_target"][1, :, 0] = torch.nan
            return DataLoader(batches, batch_size=None)

    path = tmp_path / "forecast.csv"
    with pytest.warns(UserWarning, match="no forecast of series 'south'"):
        predictions = predict(Dead(), path)
    assert predictions[0]["prediction"][1, :, 0].isnan().all()
    lines = path.read_text().splitlines()
    assert [line.split(",")[2:] for line in lines[4:]] == [["", "107.0"]] * 3
    assert "nan" not in path.read_text().lower()
    assert pl.read_csv(path)["load"].to_list() == [6.0] * 3 + [None] * 3


def test_names_that_the_data_has_itself(tmp_path):
    """A time column called ``series_id`` and no id column; a target called ``window_start``."""
    data = Hourly(origins=2)
    data.id_col, data.time_col, data.target_cols = None, "series_id", ("window_start", "price")
    table = forecast_frame(predict(data, tmp_path / "forecast.csv"), data)
    assert table.columns == ["series_id_", "series_id", "window_start_", "window_start", "price"]
    assert pl.read_csv(tmp_path / "forecast.csv")["series_id_"].unique().sort().to_list() == [
        "north",
        "south",
    ]


def normal_forecaster():
    torch.manual_seed(0)
    return LinearForecaster(head="normal", context_length=4, prediction_length=3, target_size=2)


class Colliding(Hourly):
    target_cols = ("load", "load-lo-80")


def predicted(forecaster, datamodule, writer):
    for message in (".*does not have many workers", "Couldn't infer the batch indices"):
        warnings.filterwarnings("ignore", message)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", callbacks=[writer], **quiet)
    return trainer.predict(forecaster, datamodule=datamodule)


def test_intervals_are_written_as_columns(tmp_path):
    forecaster, path = normal_forecaster(), tmp_path / "forecast.csv"
    (batch,) = predicted(forecaster, Hourly(), ForecastWriter(path, level=[95, 80]))
    assert forecaster.quantile_levels == (0.1, 0.5, 0.9)  # as before
    table = pl.read_csv(path)
    bounds = [f"-{name}" for name in ("lo-80", "hi-80", "lo-95", "hi-95")]
    assert table.columns == [
        "region", "time", *(f"{target}{one}" for target in ("load", "price") for one in ("", *bounds))
    ]  # fmt: skip
    expected = forecaster.predict(next(iter(Hourly().predict_dataloader())), quantile_levels=(0.1,))
    written = torch.tensor(table["price-lo-80"].to_list()).reshape(2, 3)
    torch.testing.assert_close(written, expected.quantiles[:, :, 1, 0])
    assert batch["quantiles"].shape == (2, 3, 2, 4)


def test_the_forecasters_own_quantiles_are_written_without_the_median_twice(tmp_path):
    path = tmp_path / "forecast.csv"
    predicted(normal_forecaster(), Hourly(), ForecastWriter(path))
    names = ["load", "load-lo-80", "load-hi-80", "price", "price-lo-80", "price-hi-80"]
    assert pl.read_csv(path).columns[2:] == names


def test_a_name_that_the_data_have_is_avoided_and_said(tmp_path):
    path = tmp_path / "forecast.csv"
    said = r"'load-lo-80' is a column of the data already: quantile 0.1 of 'load' is written as 'load-lo-80_'"
    with pytest.warns(UserWarning, match=said):
        predicted(normal_forecaster(), Colliding(), ForecastWriter(path, quantiles=[0.1]))
    assert pl.read_csv(path).columns[2:] == ["load", "load-lo-80_", "load-lo-80", "load-lo-80-lo-80"]


@pytest.mark.parametrize(
    ("forecaster", "message"),
    [
        (lambda: NaiveForecaster(context_length=4, prediction_length=3, target_size=2), "gives none"),
        (
            lambda: LinearForecaster(head="quantile", context_length=4, prediction_length=3, target_size=2),
            r"0.025, 0.975 not trained.*quantiles=\[0.025, 0.1, 0.5, 0.9, 0.975\]",
        ),
    ],
)
def test_intervals_that_are_not_known_are_refused_before_any_work(tmp_path, forecaster, message):
    with pytest.raises(ValueError, match=message):
        predicted(forecaster(), Hourly(), ForecastWriter(tmp_path / "forecast.csv", level=[95]))
    assert list(tmp_path.iterdir()) == []


def test_levels_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"below 100, such as 80, got 0\.8; write 80 for 0\.8"):
        ForecastWriter(tmp_path / "a.csv", level=[0.8])
    with pytest.raises(ValueError, match=r"given beside level=\[80\]"):
        ForecastWriter(tmp_path / "a.csv", level=[80], quantiles=[0.1])
    forecaster = normal_forecaster()
    predictions = [forecaster.predict_step(batch, 0) for batch in Hourly().predict_dataloader()]
    with pytest.raises(ValueError, match="the predictions have 3 quantiles, got 0 levels"):
        forecast_frame(predictions, Hourly())


class Formatted(Hourly):
    def format_timestamps(self, times):
        return times.dt.strftime("%d/%m/%Y %Hh").to_list()


def drawing_forecaster():
    forecaster = normal_forecaster()
    forecaster.dependence.fitted.fill_(True)
    return forecaster


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_paths_are_written_beside_the_quantiles(tmp_path, ending):
    path, paths = tmp_path / f"forecast.{ending}", tmp_path / "new" / f"paths.{ending}"
    forecaster = drawing_forecaster()
    writer = ForecastWriter(path, level=[80], samples=5, samples_path=paths)
    batches = predicted(forecaster, Formatted(origins=2), writer)
    assert forecaster.predicted_samples == 0  # as before
    read = pl.read_csv if ending == "csv" else pl.read_parquet
    table = read(paths)
    assert table.columns == ["region", "time", "window_start", "sample", "load", "price"]
    assert len(table) == 2 * 2 * 5 * 3 and len(read(path)) == 2 * 2 * 3
    for origin, batch in enumerate(batches):
        for place, region in enumerate(("north", "south")):
            begin = datetime.datetime(2024, 1, 1 + place, 4 + origin)
            times = [begin + datetime.timedelta(hours=step) for step in range(3)]
            if ending == "csv":
                begin, times = (f"{begin:%d/%m/%Y %Hh}", [f"{time:%d/%m/%Y %Hh}" for time in times])
            own = table.filter((pl.col("region") == region) & (pl.col("window_start") == begin))
            for sample in range(5):
                rows = own.filter(pl.col("sample") == sample + 1)
                assert rows["time"].to_list() == times
                written = torch.tensor(rows.select("load", "price").rows())
                torch.testing.assert_close(written, batch["samples"][place, sample])


def test_paths_of_whole_numbers_are_integers():
    samples = torch.tensor([[[[1.0, 2.0]], [[torch.nan, 4.0]]]])  # [B, N, H, C] of one window
    batch = {"samples": samples, "series_index": torch.tensor([0]), "start": torch.tensor([4])}
    table = samples_frame([batch], Hourly(), id_col="region", time_col="time", whole_numbers=True)
    assert table.select("sample", "load", "price").rows() == [(1, 1, 2), (2, None, 4)]
    assert table["load"].dtype == pl.Int64


def test_paths_need_a_file_and_a_forecaster_that_draws(tmp_path):
    with pytest.raises(ValueError, match="samples: expected a number above 0 and a samples_path"):
        ForecastWriter(tmp_path / "a.csv", samples=5)
    with pytest.raises(ValueError, match="samples_path: expected another file than path"):
        ForecastWriter(tmp_path / "a.csv", samples=5, samples_path=tmp_path / "a.csv")
    with pytest.raises(ValueError, match="samples_path: paths are wanted, and how many is said by neither"):
        predicted(
            drawing_forecaster(), Hourly(), ForecastWriter(tmp_path / "a.csv", samples_path=tmp_path / "b")
        )
    naive = NaiveForecaster(context_length=4, prediction_length=3, target_size=2)
    with pytest.raises(ValueError, match="samples: "):
        predicted(
            naive, Hourly(), ForecastWriter(tmp_path / "a.csv", samples=5, samples_path=tmp_path / "b.csv")
        )
    assert list(tmp_path.iterdir()) == []
