"""Train on several machines with Ray Train, all of them on one shared store of the data.

    pip install 'ray[train]'
    python examples/ray_train.py --csv sales.csv --time day --target sales --id shop --workers 2

Each worker is one process of data-parallel training. The first one on a machine reads the file into the cache
(``SEQLIGHT_CACHE``), the others map it. Without ``--csv`` the data that come with seqlight are taken.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import ray
import ray.train
import ray.train.lightning
from ray.train.torch import TorchTrainer

import seqlight
from seqlight.data import CSVDataModule
from seqlight.models import LSTMForecaster

DEMAND = Path(seqlight.__file__).parent / "cli" / "demand.csv"


def train_worker(config: dict[str, Any]) -> None:
    """Do what every worker does: the same DataModule and model, and Lightning's Trainer in Ray's hands."""
    data = CSVDataModule(**config["data"], missing="mask", cache=True)
    data.prepare_data()  # here, for Ray has every worker prepare: one reads, those beside it wait
    model = LSTMForecaster(
        context_length=data.context_length,
        prediction_length=data.prediction_length,
        target_size=data.target_size,
        observed_indicator=data.observed_indicator,
        hidden_size=32,
        schema=data.schema(),
    )
    trainer = lightning.Trainer(
        max_epochs=config["epochs"],
        accelerator="auto",
        devices="auto",
        strategy=ray.train.lightning.RayDDPStrategy(),
        plugins=[ray.train.lightning.RayLightningEnvironment()],
        use_distributed_sampler=False,  # the loaders of seqlight share the windows out themselves
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    trainer = ray.train.lightning.prepare_trainer(trainer)
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(Path(config["folder"]) / "model.ckpt")  # every process is needed for it
    found: dict[str, Any] = {name: float(value) for name, value in trainer.callback_metrics.items()}
    found["workers"] = trainer.world_size
    found["windows"] = len(data.dataset("train"))
    found["windows of this worker"] = len(data.train_dataloader().sampler)
    found["store"] = type(data.store.values).__name__  # "memmap": shared, not copied
    ray.train.report(found)
    if trainer.is_global_zero:
        (Path(config["folder"]) / "metrics.json").write_text(json.dumps(found))


def main() -> None:
    """Start the workers, and print what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", type=Path, default=DEMAND)
    parser.add_argument("--time", default="timestamp")
    parser.add_argument("--target", default="demand")
    parser.add_argument("--id", default="region")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("ray_results"), help="shared by all machines")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    config = {
        "data": {
            "path": str(given.csv.resolve()),
            "time_col": given.time,
            "target_cols": given.target,
            "id_col": given.id,
            "context_length": 48,
            "prediction_length": 24,
        },
        "epochs": given.epochs,
        "folder": str(given.folder.resolve()),
    }
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(num_workers=given.workers),
        run_config=ray.train.RunConfig(storage_path=str(given.folder.resolve())),
    )
    trainer.fit()
    print((given.folder / "metrics.json").read_text())


if __name__ == "__main__":
    main()
