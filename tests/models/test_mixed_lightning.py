import copy
import pickle
import subprocess
import sys

import pytest
from lightning import LightningModule

from seqlight.models import Forecaster, LSTMForecaster

SCRIPT = """
import pytorch_lightning
from seqlight.models import LinearForecaster
forecaster = LinearForecaster(context_length=4, prediction_length=1)
trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
for run in (trainer.fit, trainer.validate, trainer.test, trainer.predict):
    try:
        run(forecaster)
    except TypeError as error:
        print(error)
"""


def test_trainer_of_the_other_package_gets_a_clear_error():
    pytest.importorskip("pytorch_lightning", reason="pytorch_lightning is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    messages = [line for line in done.stdout.splitlines() if "do not mix" in line]
    assert len(messages) == 4
    assert messages[0].startswith("LinearForecaster is a module of `lightning`, and this Trainer is one of")
    assert "from lightning import Trainer" in messages[0]


def test_everyone_else_sees_the_class(sizes):
    forecaster = LSTMForecaster(hidden_size=2, **sizes)
    assert forecaster.__class__ is LSTMForecaster
    assert isinstance(forecaster, Forecaster)
    assert isinstance(forecaster, LightningModule)
    assert not isinstance(forecaster, int)
    assert type(copy.deepcopy(forecaster)) is LSTMForecaster
    assert type(pickle.loads(pickle.dumps(forecaster))) is LSTMForecaster
