"""``seqlight fit | validate | test | predict``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import seqlight
from seqlight.data import CSVDataModule
from seqlight.models import LSTMForecaster

Run = Callable[..., int]

QUICK = [
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
]
IN_PREDICTION = [argument for argument in QUICK if "enable" in argument]


def data_options(path: Path) -> list[str]:
    return [
        "--data=CSVDataModule",
        f"--data.path={path}",
        "--data.time_col=ds",
        "--data.target_cols=sales",
        "--data.id_col=shop",
        "--data.missing=mask",
        "--data.context_length=24",
        "--data.prediction_length=6",
        "--data.calendar_features=[hour]",
    ]


@pytest.fixture(scope="module")
def checkpoint(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``seqlight fit`` leaves behind."""
    folder = tmp_path_factory.mktemp("fit")
    from seqlight.cli import main

    model = ["--model=LSTMForecaster", "--model.hidden_size=4", "--model.peephole=true"]
    root = f"--trainer.default_root_dir={folder}"
    main(["fit", *model, *data_options(two_series_csv), *QUICK, root])
    (path,) = folder.rglob("*.ckpt")
    return path


def test_sizes_come_from_the_data(checkpoint: Path) -> None:
    model = seqlight.load(checkpoint)
    assert isinstance(model, LSTMForecaster)
    sizes = (model.context_length, model.prediction_length, model.target_size, model.future_covariate_size)
    assert sizes == (24, 6, 1, 2)
    assert model.observed_indicator
    assert model.hparams["hidden_size"] == 4
    assert model.hparams["peephole"] is True
    assert model.schema is not None
    assert model.schema["frequency"] == "1h"
    plain = {name: value for name, value in model.hparams.items() if name != "schema"}
    assert all(isinstance(value, int | float | str | list | None) for value in plain.values())


def test_predict_needs_a_checkpoint_alone(
    checkpoint: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("predict", "--ckpt_path", checkpoint, "-o", "out.csv", *IN_PREDICTION) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    table = pl.read_csv("out.csv")
    assert table.columns == ["shop", "ds", "sales"]
    assert table["shop"].to_list() == ["east"] * 6 + ["west"] * 6
    assert table["ds"].to_list()[0] == "2024-03-07 00:00:00"
    assert table["sales"].is_finite().all()


def test_predict_on_another_file(checkpoint: Path, two_series_csv: Path, run: Run, tmp_path: Path) -> None:
    """Only the last rows, of a series that the model never saw."""
    lines = two_series_csv.read_text().splitlines()
    rows = [line.replace(",east,", ",south,") for line in lines if ",east," in line][-60:]
    path = tmp_path / "new.csv"
    path.write_text("\n".join([lines[0], *rows]) + "\n")
    options = [f"--data.path={path}", "--data.val_size=0.0", "--data.test_size=0.0"]
    output = tmp_path / "out.csv"
    assert run("predict", "--ckpt_path", checkpoint, *options, "-o", output, *IN_PREDICTION) == 0
    table = pl.read_csv(output)
    assert table["shop"].unique().to_list() == ["south"]

    model = seqlight.load(checkpoint)
    hours = np.arange(24 + 6)  # both parts begin at midnight
    angle = torch.from_numpy(2 * np.pi * (hours % 24) / 24).float()
    covariates = torch.stack([angle.sin(), angle.cos()], dim=-1)[None]
    past = torch.tensor([[float(row.split(",")[2] or "nan")] for row in rows[-24:]])[None]
    with torch.inference_mode():
        expected = model(
            past, historic_future_covariates=covariates[:, :24], future_covariates=covariates[:, 24:]
        )
    np.testing.assert_allclose(table["sales"].to_numpy(), expected.flatten().numpy(), rtol=1e-4)


class Doubled(CSVDataModule):
    """Has the arguments of its base class, which a guess by arguments would take."""

    def format_timestamps(self, times: pl.Series) -> list[str]:
        return [f"at {time}" for time in super().format_timestamps(times)]


def test_the_class_of_the_data_is_in_the_checkpoint(
    checkpoint: Path, two_series_csv: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["seqlight"]["data_module"] == "seqlight.data.modules.csv_data_module:CSVDataModule"

    def first_time(data_module: str | None, *options: str) -> str:
        contents = {key: value for key, value in saved["seqlight"].items() if key != "data_module"}
        if data_module is not None:
            contents["data_module"] = data_module
        path, output = tmp_path / "changed.ckpt", tmp_path / "out.csv"
        torch.save({**saved, "seqlight": contents}, path)
        assert run("predict", "--ckpt_path", path, *options, "-o", output, *IN_PREDICTION) == 0
        return output.read_text().splitlines()[1].split(",")[1]

    time = "2024-03-07 00:00:00"
    assert first_time(f"{__name__}:Doubled") == f"at {time}"
    assert first_time("seqlight.data.csv_data_module:CSVDataModule") == time  # of a module since moved
    assert first_time(None) == time  # by its arguments, as in checkpoints of old

    with pytest.raises(AssertionError):
        first_time("elsewhere.data:Own")
    error = capsys.readouterr().err
    assert "of class elsewhere.data.Own, which is not known here; name it: --data elsewhere.data.Own" in error
    assert first_time("elsewhere.data:Own", *data_options(two_series_csv)) == time  # the hint works


def test_test_and_validate_evaluate_the_checkpoint(
    checkpoint: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, metric in (("test", "test_mase"), ("validate", "val_mase")):
        assert run(command, "--ckpt_path", checkpoint, *IN_PREDICTION) == 0
        assert metric in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_training(two_series_csv: Path, run: Run, tmp_path: Path) -> None:
    """The season is linked to the model that has one."""
    output = tmp_path / "naive.csv"
    model = "--model=SeasonalNaiveForecaster"
    assert run("predict", model, *data_options(two_series_csv), "-o", output, *IN_PREDICTION) == 0
    rows = [line.split(",") for line in two_series_csv.read_text().splitlines()]
    last_day = [row[2] for row in rows if row[1] == "east"][-24:-18]
    written = pl.read_csv(output)["sales"].to_list()[:6]
    np.testing.assert_allclose(written, [float(cell) for cell in last_day], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("WindowForecaster", "--model: WindowForecaster has no forecast(), it is a base class"),
        ("BaselineForecaster", "--model: BaselineForecaster has no decode(), it is a base class"),
        ("StatsForecastForecaster", "seqlight: error: statsforecast is not installed: pip install"),
        ("RNNImputer", "covariate_size: expected an integer, got None"),
    ],
)
def test_a_model_that_cannot_forecast_is_named(
    model: str,
    said: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)  # as where it is not installed
    names = ["--model.model=AutoETS"] if model == "StatsForecastForecaster" else []
    options = [f"--model={model}", *names, *data_options(two_series_csv), "-o", tmp_path / "out.csv"]
    assert run("predict", *options, *IN_PREDICTION) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_data_of_other_sizes_are_refused(
    checkpoint: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data.context_length=30", "-o", tmp_path / "out.csv"]
    assert run("predict", "--ckpt_path", checkpoint, *options) == 2
    assert "the checkpoint's model has context_length 24, the data give 30" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings(
    "ignore:The dirpath has changed"
)  # Lightning's word on the new folder of the resumed run
def test_configuration_by_yaml_and_resuming(
    two_series_csv: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configuration = {
        "seed_everything": 3,
        "trainer": {
            "max_epochs": 1,
            "accelerator": "cpu",
            "limit_train_batches": 2,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": "logs"},
            },
        },
        "model": {"class_path": "LSTMForecaster", "init_args": {"hidden_size": 4, "strategy": "every_step"}},
        "data": {
            "class_path": "CSVDataModule",
            "init_args": {
                "path": str(two_series_csv),
                "time_col": "ds",
                "target_cols": "sales",
                "id_col": "shop",
                "missing": "mask",
                "context_length": 24,
                "prediction_length": 6,
            },
        },
    }
    Path("lstm.yaml").write_text(json.dumps(configuration))  # JSON is YAML
    assert run("fit", "--config", "lstm.yaml") == 0
    (saved,) = Path("logs").rglob("config.yaml")
    (first,) = Path("logs").rglob("*.ckpt")
    assert seqlight.load(first).hparams["strategy"] == "every_step"

    # The configuration that Lightning saved works too, and training goes on from the checkpoint.
    assert run("fit", "--config", saved, "--ckpt_path", first, "--trainer.max_epochs=2") == 0
    resumed = {torch.load(path, weights_only=True)["epoch"]: path for path in Path("logs").rglob("*.ckpt")}
    assert sorted(resumed) == [0, 1]
    assert torch.load(resumed[1], weights_only=True)["global_step"] == 4


def test_a_class_of_ones_own_keeps_its_traceback(two_series_csv: Path, run: Run) -> None:
    with pytest.raises(ValueError, match="a mistake in a class of one's own"):
        run("fit", f"--model={__name__}.Mistaken", *data_options(two_series_csv), *QUICK)


class Mistaken(LSTMForecaster):
    def build_network(self) -> torch.nn.Module:
        raise ValueError("a mistake in a class of one's own")
