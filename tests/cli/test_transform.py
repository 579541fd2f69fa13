"""A transform with options, as the command line and YAML files write it."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import seqlight

Run = Callable[..., int]

CONFIG = """\
seed_everything: 0
trainer:
  max_epochs: 1
  limit_train_batches: 2
  enable_progress_bar: false
  enable_model_summary: false
  logger: false
  accelerator: cpu
  default_root_dir: {folder}
model:
  class_path: LSTMForecaster
  init_args:
    hidden_size: 4
    transform: log + difference(1, 24) + standard
data:
  class_path: CSVDataModule
  init_args:
    path: {csv}
    time_col: ds
    target_cols: sales
    id_col: shop
    missing: mask
    context_length: 48
    prediction_length: 6
"""


def test_transform_from_yaml_to_checkpoint_to_forecast(
    two_series_csv: Path, run: Run, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(csv=two_series_csv, folder=tmp_path / "run"))
    assert run("fit", "--config", config) == 0
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    model = seqlight.load(checkpoint)
    assert model.hparams["transform"] == "log + difference(1, 24) + standard"
    scaler = model.transform.transforms[2]
    # Fitted on differences of logarithms, and not on sales of some hundreds.
    assert scaler.fitted and 0.001 < scaler.scale.item() < 0.2
    output = tmp_path / "out.csv"
    assert run("predict", "--ckpt_path", checkpoint, "-o", output, "--trainer.enable_progress_bar=false") == 0
    forecast, history = pl.read_csv(output)["sales"], pl.read_csv(two_series_csv)["sales"].drop_nulls()
    assert forecast.is_finite().all()
    assert history.min() * 0.5 < forecast.min() and forecast.max() < history.max() * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("difference(1,24)", "context_length: expected at least 26"),
        ("diference", "Did you mean 'difference'?"),
        ("decompose", "missing a required argument: 'season_length'"),
    ],
)
def test_bad_transform_is_one_line(
    text: str,
    message: str,
    two_series_csv: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(csv=two_series_csv, folder=tmp_path / "run"))
    assert run("fit", "--config", config, f"--model.transform={text}", "--data.context_length=24") != 0
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
