"""Gradients by layer and through time, checked against exact cases and against loops written out."""

import csv

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader

import seqlight
from seqlight.callbacks import GradientMonitor
from seqlight.callbacks.state_gradients import StateGradients
from seqlight.data import SyntheticDataModule
from seqlight.models import GRUForecaster, LSTMForecaster, RNNForecaster, TCNForecaster

pytestmark = pytest.mark.filterwarnings(
    "ignore:The number of training batches",
    "ignore:.*does not have many workers",
    "ignore:You defined a `validation_step`",
)


def trainer_of(folder, *callbacks, **settings):
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "max_epochs": 1,
    }
    return Trainer(default_root_dir=folder, callbacks=list(callbacks), **(quiet | settings))


class Linear(LightningModule):
    """h_t = a h_(t-1) + x_t, as long as it is positive; the loss is the last output."""

    def __init__(self, factor):
        super().__init__()
        self.layer = seqlight.nn.RNN(1, 1, nonlinearity="relu", bias=False)
        nn.init.ones_(self.layer.weight_ih_l0)
        nn.init.constant_(self.layer.weight_hh_l0, factor)

    def training_step(self, batch, batch_idx):
        return self.layer(batch)[0][:, -1].sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3])
def test_linear_recurrence_has_the_exact_gradient(factor, tmp_path):
    monitor = GradientMonitor(1)
    trainer_of(tmp_path, monitor).fit(Linear(factor), DataLoader(torch.rand(2, 20, 1)))
    expected = factor ** torch.arange(19, -1, -1.0)
    assert [record.step for record in monitor.records] == [0, 1]
    for record in monitor.records:
        (values,) = record.through_time.values()
        torch.testing.assert_close(torch.from_numpy(values), expected)


def test_dropout_of_the_recurrent_product_is_that_of_the_step():
    """One mask for all steps: it cuts h_t = a h_(t-1) + x_t, or doubles a."""
    layer = seqlight.nn.RNN(1, 1, nonlinearity="relu", bias=False, recurrent_dropout=0.5)
    nn.init.ones_(layer.weight_ih_l0)
    nn.init.constant_(layer.weight_hh_l0, 0.4)
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        with StateGradients(layer) as gradients:
            output, _ = layer(torch.ones(1, 6, 1))
            output[:, -1].sum().backward()
        kept = bool(output[0, 1, 0] > 1)
        seen.add(kept)
        expected = (0.8 if kept else 0.0) ** torch.arange(5, -1, -1.0)
        torch.testing.assert_close(gradients.norms()["l0.h"], expected)
    assert seen == {True, False}


def stepwise(layer, x, loss_of):
    """Total gradients by autograd through a loop of steps: one [T] of norms for each state."""
    states, outputs, state = [], [], None
    for x_t in x.unbind(1):
        _, state = layer.step(x_t, state)
        parts = state if isinstance(state, tuple) else (state,)
        states.append(parts)
        outputs.append(parts[0][0])  # so that the output's gradient comes through the state
    loss = loss_of(torch.stack(outputs, dim=1), state)
    wanted = [part for parts in states for part in parts]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    # The last cell state reaches the loss by the hidden state of its own step alone.
    found = [torch.zeros(()) if gradient is None else gradient for gradient in found]
    return torch.stack([gradient.norm() for gradient in found]).view(x.shape[1], -1).unbind(1)


@pytest.mark.parametrize("final", [False, True], ids=["outputs", "final state"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: seqlight.nn.RNN(2, 5),
        lambda: seqlight.nn.LSTM(2, 5, peephole=True),
        lambda: seqlight.nn.GRU(2, 5),
        lambda: seqlight.nn.LSTM(2, 5, layer_norm=True),
    ],
    ids=["rnn", "lstm", "gru", "layer norm"],
)
def test_total_gradient_is_that_of_a_loop_of_steps(layer, final):
    torch.manual_seed(0)
    layer, x, weights = layer(), torch.randn(3, 8, 2), torch.randn(3, 8, 5)

    def loss_of(output, state):
        last = state[-1] if isinstance(state, tuple) else state
        return (output.square() * weights).sum() + (last.square().sum() if final else 0.0)

    with StateGradients(layer) as gradients:
        loss_of(*layer(x)).backward()
    found = gradients.norms()
    expected = stepwise(layer, x, loss_of)
    assert list(found) == (["l0.h", "l0.c"] if isinstance(layer, seqlight.nn.LSTM) else ["l0.h"])
    for ours, theirs in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_rows_of_different_lengths_in_both_directions():
    """The batch's squared norms are the sums of those of its rows alone."""
    torch.manual_seed(0)
    layer = seqlight.nn.GRU(2, 4, num_layers=2, bidirectional=True)
    x, weights, lengths = torch.randn(3, 7, 2), torch.randn(3, 7, 8), [7, 1, 4]
    with StateGradients(layer) as gradients:
        (layer(x, None, torch.tensor(lengths))[0] * weights).sum().backward()
    together = gradients.norms()
    assert list(together) == ["l0.h", "l0_reverse.h", "l1.h", "l1_reverse.h"]
    squares = {name: torch.zeros(7) for name in together}
    for row, length in enumerate(lengths):
        with StateGradients(layer) as gradients:
            (layer(x[row : row + 1, :length])[0] * weights[row, :length]).sum().backward()
        for name, values in gradients.norms().items():
            squares[name][:length] += values.square()
    for name, values in together.items():
        torch.testing.assert_close(values.square(), squares[name], rtol=1e-4, atol=1e-6)


def test_calls_of_one_layer_follow_each_other():
    """A state that leaves one call and enters the next carries the gradient of both."""
    torch.manual_seed(0)
    layer, x = seqlight.nn.LSTM(2, 3), torch.randn(2, 9, 2)
    norms = []
    for ends in ([9], [4, 5, 9]):
        with StateGradients(layer) as gradients:
            state, begin, outputs = None, 0, []
            for end in ends:
                output, state = layer(x[:, begin:end], state)
                outputs.append(output)
                begin = end
            torch.cat(outputs, dim=1).square().sum().backward()
        norms.append(gradients.norms())
    assert norms[0].keys() == norms[1].keys()
    for name, values in norms[0].items():
        torch.testing.assert_close(values, norms[1][name])


def forecaster(kind=LSTMForecaster, **settings):
    torch.manual_seed(0)
    options = {"hidden_size": 4, "strategy": "every_step", "transform": "standard"} | settings
    return kind(context_length=12, prediction_length=2, **options)


def data(**settings):
    sizes = {"context_length": 12, "prediction_length": 2, "n_train": 24, "n_val": 4, "n_test": 4}
    return SyntheticDataModule(**sizes, batch_size=8, **settings)


class Recorder(GradientMonitor):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.losses.append(outputs["loss"].item())


@pytest.mark.parametrize("tbptt_steps", [None, 5])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RNNForecaster, {}),
        (LSTMForecaster, {"layer_norm": True, "recurrent_dropout": 0.2}),
        (GRUForecaster, {"zoneout": 0.2}),
    ],
)
def test_training_is_the_same_to_the_last_bit(kind, options, tbptt_steps, tmp_path):
    def fit(every):
        model = forecaster(kind, num_layers=2, dropout=0.3, **options)
        watch = Recorder(every)
        trainer_of(tmp_path, watch, max_epochs=2, gradient_clip_val=0.1).fit(
            model, data(tbptt_steps=tbptt_steps)
        )
        return watch, model.state_dict()

    often, weights = fit(1)
    never, expected = fit(10**9)
    assert len(often.records) == len(often.losses) > len(never.records) == 1
    assert often.losses == never.losses
    assert all(torch.equal(value, weights[name]) for name, value in expected.items())
    states = {f"network.core.l{layer}.{state}" for layer in (0, 1) for state in ("h", "c")}
    for record in often.records:
        assert record.through_time.keys() <= states
        assert {len(values) for values in record.through_time.values()} <= {12, 5, 2}


def test_norms_are_those_before_clipping(tmp_path):
    class Exact(GradientMonitor):
        def on_after_backward(self, trainer, pl_module):
            super().on_after_backward(trainer, pl_module)
            self.gradients = {name: p.grad.clone() for name, p in pl_module.named_parameters()}

    monitor = Exact(1)
    model = forecaster(RNNForecaster, num_layers=2)
    trainer_of(tmp_path, monitor, max_steps=1, gradient_clip_val=1e-3).fit(model, data())
    norms = monitor.records[0].norms
    assert norms.keys() == {"network.core.l0", "network.core.l1", "network.head", "total"}

    def norm(part):
        return torch.stack([g.norm() for name, g in monitor.gradients.items() if part in name]).norm().item()

    for group, part in (
        ("network.core.l0", "_l0"),
        ("network.core.l1", "_l1"),
        ("network.head", "head"),
        ("total", ""),
    ):
        assert norms[group] == pytest.approx(norm(part))
    assert norms["total"] > 1e-3


@pytest.mark.parametrize("settings", [{"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}])
def test_gradient_is_that_of_the_loss_as_it_was_returned(settings, tmp_path):
    found = []
    for extra in ({}, settings):
        monitor = GradientMonitor(1)
        trainer_of(tmp_path, monitor, max_steps=1, **extra).fit(forecaster(), data())
        (record,) = monitor.records
        found.append(record.through_time)
    tolerance = 0.05 if "precision" in settings else 1e-6
    for name, values in found[0].items():
        torch.testing.assert_close(found[1][name], values, rtol=tolerance, atol=0)


def test_logs_to_any_logger_at_its_interval(tmp_path):
    logger = CSVLogger(tmp_path, name="run", version=0)
    monitor = GradientMonitor(2)
    trainer = trainer_of(tmp_path, monitor, logger=logger, log_every_n_steps=50, max_epochs=2)
    trainer.fit(forecaster(), data())
    with open(tmp_path / "run" / "version_0" / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["grad_norm/total"]]
    assert [int(row["step"]) for row in rows] == [0, 2, 4]
    for row, record in zip(rows, monitor.records, strict=True):
        assert float(row["grad_norm/total"]) == pytest.approx(record.norms["total"])
        values = record.through_time["network.core.l0.c"]
        assert float(row["state_grad_norm/network.core.l0.c/first"]) == pytest.approx(float(values[0]))
        assert float(row["state_grad_norm/network.core.l0.c/last"]) == pytest.approx(float(values[-1]))
    assert trainer.callback_metrics["grad_norm/network.head"] > 0


def test_interval_is_the_trainers_by_default(tmp_path):
    monitor = GradientMonitor()
    trainer_of(tmp_path, monitor, log_every_n_steps=4, max_epochs=3).fit(forecaster(), data())
    assert [record.step for record in monitor.records] == [0, 4, 8]


def test_files_and_plot(tmp_path):
    monitor = GradientMonitor(1, dirpath=tmp_path / "gradients")
    trainer_of(tmp_path, monitor, max_steps=3).fit(forecaster(), data())
    with open(tmp_path / "gradients" / "gradients_through_time.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 12
    for row in rows:
        values = monitor.records[int(row["step"])].through_time[row["state"]]
        assert float(row["norm"]) == pytest.approx(float(values[int(row["time_step"]) - 1]))
    with open(tmp_path / "gradients" / "gradient_norms.csv", newline="") as file:
        assert {row["layer"] for row in csv.DictReader(file)} == monitor.records[0].norms.keys()
    assert (tmp_path / "gradients" / "gradients_through_time.png").stat().st_size > 10_000

    figure = monitor.plot(tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").is_file()
    panels = [ax for ax in figure.axes if ax.get_ylabel() == "gradient norm"]
    assert [ax.get_title(loc="left") for ax in panels] == ["network.core.l0.h", "network.core.l0.c"]
    for ax in panels:
        assert ax.get_yscale() == "log"
        assert len(ax.lines) == 3
        record = monitor.records[1].through_time[ax.get_title(loc="left")]
        drawn = torch.from_numpy(ax.lines[1].get_ydata()).nan_to_num(0.0)  # no zero on a logarithmic axis
        assert drawn.tolist() == record.tolist()


def test_exploding_training_leaves_its_files(tmp_path):
    class Fails(LSTMForecaster):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            raise FloatingPointError("exploded")

    monitor = GradientMonitor(1, dirpath=tmp_path / "gradients")
    model = forecaster(Fails)
    with pytest.raises(FloatingPointError):
        trainer_of(tmp_path, monitor).fit(model, data())
    assert (tmp_path / "gradients" / "gradients_through_time.png").is_file()
    assert "run_layer" not in model.network.core.__dict__


def test_networks_without_recurrence_have_norms_alone(tmp_path):
    monitor = GradientMonitor(1, dirpath=tmp_path / "gradients")
    trainer_of(tmp_path, monitor, max_steps=1).fit(forecaster(TCNForecaster), data())
    assert {"network.core.blocks.0.convs.0", "network.head"} < monitor.records[0].norms.keys()
    assert not (tmp_path / "gradients" / "gradients_through_time.csv").exists()
    with pytest.raises(RuntimeError, match="no gradients through time to plot"):
        monitor.plot()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_networks_are_told_so(tmp_path):
    model = forecaster()
    model.network.compile(backend="eager")
    monitor = GradientMonitor(1)
    with pytest.warns(UserWarning, match="gradients through time are not recorded"):
        trainer_of(tmp_path, monitor, max_steps=1).fit(model, data())
    assert monitor.records[0].norms["total"] > 0
    assert not monitor.records[0].through_time


def test_interval_is_checked():
    with pytest.raises(ValueError, match="every_n_steps: expected at least 1 or None, got 0"):
        GradientMonitor(0)


def test_loss_of_a_user_module(tmp_path):
    """A module of the user's own whose layer sits anywhere in it."""

    class Own(LightningModule):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleDict({"encoder": seqlight.nn.GRU(1, 3)})
            self.head = nn.Linear(3, 1)

        def training_step(self, batch, batch_idx):
            output, _ = self.parts["encoder"](batch)
            return mse_loss(self.head(output[:, -1]), batch[:, 0])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    monitor = GradientMonitor(1)
    trainer_of(tmp_path, monitor).fit(Own(), DataLoader(torch.rand(4, 30, 1), batch_size=4))
    (values,) = monitor.records[0].through_time.values()
    assert list(monitor.records[0].through_time) == ["parts.encoder.l0.h"]
    assert values[0] < values[-1]  # it vanishes on its way back
