"""Labels as a CSV, through ``seqlight fit`` and ``predict``."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from lightning import Trainer

import seqlight
from seqlight.callbacks import LabelWriter, label_frame
from seqlight.cli import main
from seqlight.data import SyntheticDataModule
from seqlight.models import SequenceRegressor

QUIET = [f"--trainer.{name}=false" for name in ("enable_progress_bar", "enable_model_summary", "logger")]
SIZES = ["--data.n_train=32", "--data.n_val=8", "--data.n_test=5", "--data.context_length=21"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # Lightning's own
    pytest.mark.filterwarnings("ignore:.*num_workers", "ignore:The number of training batches"),
]
Make = Callable[..., tuple[pl.DataFrame, Path]]


@pytest.fixture
def predicted(tmp_path: Path) -> Make:
    """Fits, and gives the CSV of ``seqlight predict``, and the checkpoint."""

    def make(model: str, generator: str, *options: str) -> tuple[pl.DataFrame, Path]:
        data = ["--data=SyntheticDataModule", f"--data.generator={generator}", *SIZES]
        root = f"--trainer.default_root_dir={tmp_path}"
        assert main(["fit", f"--model={model}", *options, *data, *QUIET, root, "--trainer.max_epochs=1"]) == 0
        (checkpoint,) = tmp_path.rglob("*.ckpt")
        output = tmp_path / "labels.csv"
        assert main(["predict", "--ckpt_path", str(checkpoint), "-o", str(output), *QUIET[:2]]) == 0
        return pl.read_csv(output), checkpoint

    return make


def test_a_class_for_each_series(predicted: Make) -> None:
    table, checkpoint = predicted("SequenceClassifier", "waveforms")
    probabilities = [f"probability_{index}" for index in range(4)]
    assert table.columns == ["series_id", "label", *probabilities]
    assert table["series_id"].to_list() == list(range(40, 45))
    model = seqlight.load(checkpoint)
    assert model.hparams["num_classes"] == 4  # linked from the data
    data = SyntheticDataModule("waveforms", n_train=32, n_val=8, n_test=5, context_length=21)
    expected = model(torch.from_numpy(data.drawn.target[40:])).softmax(-1)
    torch.testing.assert_close(torch.from_numpy(table[probabilities].to_numpy()).float(), expected.detach())
    assert table["label"].to_list() == expected.argmax(1).tolist()


def test_a_class_for_each_step(predicted: Make) -> None:
    table, _ = predicted("StepClassifier", "copy_memory", "--model.core=tcn")
    assert table.columns[:3] == ["series_id", "step", "label"]
    assert table["series_id"].to_list() == [series for series in range(40, 45) for _ in range(21)]
    assert table["step"].to_list() == list(range(21)) * 5


def test_numbers(predicted: Make) -> None:
    table, checkpoint = predicted("SequenceRegressor", "adding_problem")
    assert table.columns == ["series_id", "label_0"] and len(table) == 5
    assert isinstance(seqlight.load(checkpoint), SequenceRegressor)


def test_a_data_module_without_names_is_refused(tmp_path: Path) -> None:
    writer = LabelWriter(tmp_path / "labels.csv")
    with pytest.raises(TypeError, match="LabelWriter needs a DataModule with series_ids"):
        writer.on_predict_start(Trainer(logger=False, enable_progress_bar=False), SequenceRegressor())


def test_no_predictions() -> None:
    with pytest.raises(ValueError, match="at least one batch, got none"):
        label_frame([], None)
