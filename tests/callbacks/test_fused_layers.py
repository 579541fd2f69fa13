"""FusedLayers: the kernels run while the Trainer does; after it and in all files there is torch's layer."""

import copy
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seqlight.callbacks import FusedLayers
from seqlight.nn import fuse, fusion_report


class Plain(LightningModule):
    """A module that knows nothing of seqlight; its core is a hyperparameter."""

    def __init__(self, core: nn.Module | None = None, fails_at: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        core = nn.LSTM(3, 5, batch_first=True).double() if core is None else core
        self.save_hyperparameters({"core": core})
        self.core = core
        self.head = nn.Linear(5, 1, dtype=torch.float64)
        self.fails_at = fails_at
        self.losses: list[float] = []
        self.kinds: dict[str, str] = {}

    def _loss(self, batch: list[Tensor], stage: str) -> Tensor:
        self.kinds[stage] = type(self.core).__name__
        if stage == self.fails_at:
            raise ValueError("as asked for")
        (x,) = batch
        return (self.head(self.core(x)[0])[:, -1] - x[:, 0, :1]).square().mean()

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        loss = self._loss(batch, "fit")
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self._loss(batch, "validate")

    def test_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self._loss(batch, "test")

    def predict_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self._loss(batch, "predict")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def train_dataloader(self) -> DataLoader:
        x = torch.randn(16, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        return DataLoader(TensorDataset(x), batch_size=4)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def trainer(*callbacks: Callback, **options: Any) -> Trainer:
    defaults: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(**{**defaults, **quiet, **options}, callbacks=list(callbacks))


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*num_workers.*",
    "ignore:The number of training batches",
    "ignore:Attribute 'core' is an instance",
    "ignore:Trying to infer the `batch_size`",
)


class Copies(Callback):
    """Copies and pickles the model in the middle of training, as averaging callbacks do."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.kinds = [
            type(copy.deepcopy(pl_module.core)),
            type(pickle.loads(pickle.dumps(pl_module.core))),
        ]


def test_every_stage_and_the_files(native: ModuleType, tmp_path: Path) -> None:
    peer = Plain()
    trainer().fit(peer)
    model, callback, copies = Plain(), FusedLayers(), Copies()
    checkpoints = [
        ModelCheckpoint(
            tmp_path,
            every_n_train_steps=2 + weights_only,
            save_weights_only=weights_only,
            filename=f"{weights_only}",
        )
        for weights_only in (False, True)
    ]
    before = native.call_counts().get("lstm_backward.float64", 0)
    trainer(callback, copies, *checkpoints, enable_checkpointing=True).fit(model)
    assert native.call_counts()["lstm_backward.float64"] == before + 8
    assert type(model.core) is nn.LSTM
    assert copies.kinds == [nn.LSTM, nn.LSTM]
    torch.testing.assert_close(model.losses, peer.losses, rtol=0, atol=1e-9)
    runner = trainer(callback)
    for stage in ("validate", "test", "predict"):
        getattr(runner, stage)(model, **({} if stage == "predict" else {"verbose": False}))
        assert type(model.core) is nn.LSTM
    assert model.kinds == dict.fromkeys(("fit", "validate", "test", "predict"), "FusedLSTM")
    assert peer.kinds == {"fit": "LSTM", "validate": "LSTM"}
    for checkpoint in checkpoints:
        path = checkpoint.best_model_path
        assert b"seqlight" not in Path(path).read_bytes()
        content = torch.load(path, weights_only=False)
        assert type(content["hyper_parameters"]["core"]) is nn.LSTM
        assert list(content["state_dict"]) == list(peer.state_dict())
        assert type(Plain.load_from_checkpoint(path, weights_only=False).core) is nn.LSTM


@pytest.mark.parametrize("stage", ["fit", "validate", "test", "predict"])
def test_an_error_takes_it_back(stage: str) -> None:
    model, callback = Plain(fails_at=stage), FusedLayers()
    with pytest.raises(ValueError, match="as asked for"):
        getattr(trainer(callback, num_sanity_val_steps=0), stage)(model)
    assert model.kinds[stage] == "FusedLSTM"
    assert type(model.core) is nn.LSTM
    model.fails_at = ""
    model.train()
    trainer(callback).fit(model)
    assert type(model.core) is nn.LSTM


def test_what_was_fused_before_remains_so() -> None:
    model = Plain(fuse(nn.LSTM(3, 5, batch_first=True).double()))
    trainer(FusedLayers()).fit(model)
    assert fusion_report(model).layers[0].fused


def test_layers_that_remain_torch_s_are_named_once() -> None:
    model = Plain(nn.LSTM(3, 6, batch_first=True, proj_size=5).double())
    with pytest.warns(UserWarning, match=r"FusedLayers: 1 of 1 .* core \(proj_size=5; ") as warned:
        trainer(FusedLayers()).fit(model)
    assert sum("FusedLayers" in str(warning.message) for warning in warned) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jsonargparse, for what LightningCLI calls
def test_from_a_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "trainer:\n  max_epochs: 1\n  accelerator: cpu\n  logger: false\n  enable_checkpointing: false\n"
        "  enable_progress_bar: false\n  enable_model_summary: false\n"
        "  callbacks:\n    - class_path: seqlight.callbacks.FusedLayers\n"
    )
    monkeypatch.setattr("sys.argv", ["project"])
    cli = LightningCLI(
        Plain, save_config_callback=None, seed_everything_default=0, args=["fit", "--config", str(config)]
    )
    assert cli.model.kinds["fit"] == "FusedLSTM"
    assert type(cli.model.core) is nn.LSTM
