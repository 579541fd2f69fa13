import pytest
import torch
from lightning import Callback
from lightning.pytorch.tuner import Tuner

import seqlight
from seqlight.models import LSTMForecaster, NaiveForecaster

# torch's own call of an autograd.Function while it traces.
TRACING = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def mae_of(forecaster, data, trainer):
    running = trainer()
    running.validate(forecaster, data, verbose=False)
    return running.callback_metrics["val_mae"].item()


@pytest.mark.parametrize("strategy", ["direct", "recursive", "every_step"])
def test_learns_a_sine(sizes, loader, trainer, strategy):
    torch.manual_seed(0)
    data, held_out = loader(320, shuffle=True), loader(64)
    forecaster = LSTMForecaster(
        hidden_size=16, peephole=True, strategy=strategy, lr=2e-2, lr_schedule="one_cycle", **sizes
    )
    trainer(max_epochs=8, limit_val_batches=0).fit(forecaster, data)
    naive = mae_of(NaiveForecaster(**sizes), held_out, trainer)
    assert mae_of(forecaster, held_out, trainer) < 0.3 * naive


def test_learns_with_missing_cells(sizes, loader, trainer):
    torch.manual_seed(0)
    data, held_out = loader(320, missing=0.3), loader(64, missing=0.3)
    forecaster = LSTMForecaster(hidden_size=16, observed_indicator=True, lr=2e-2, **sizes)
    trainer(max_epochs=8, limit_val_batches=0, gradient_clip_val=1.0).fit(forecaster, data)
    naive = mae_of(NaiveForecaster(**sizes), held_out, trainer)
    assert mae_of(forecaster, held_out, trainer) < 0.5 * naive


def test_masked_cells_do_not_move_the_gradient(sizes, windows, trainer):
    def trained(fill):
        torch.manual_seed(0)
        samples = windows(32, missing=0.3)
        for sample in samples:
            for part in ("past", "future"):
                sample[f"{part}_target"] = sample[f"{part}_target"].masked_fill(
                    ~sample[f"{part}_observed"], fill
                )
        forecaster = LSTMForecaster(hidden_size=4, observed_indicator=True, strategy="every_step", **sizes)
        data = torch.utils.data.DataLoader(samples, batch_size=16)
        trainer(max_epochs=1, limit_val_batches=0).fit(forecaster, data)
        return forecaster.state_dict()

    by_nan, by_value = trained(torch.nan), trained(12345.0)
    for name, value in by_nan.items():
        if not name.startswith("transform"):
            torch.testing.assert_close(value, by_value[name], msg=name)


class SaveAfterEpoch(Callback):
    """Saves at one of the two places where Lightning's ModelCheckpoint does."""

    def __init__(self, hook, epoch, path):
        self.epoch, self.path = epoch, path
        setattr(self, hook, self.save)

    def save(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch and not trainer.sanity_checking:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize(
    ("hook", "lr_schedule", "shuffle"),
    [
        ("on_validation_end", None, False),
        ("on_validation_end", "one_cycle", True),
        ("on_train_epoch_end", None, True),
        ("on_train_epoch_end", "one_cycle", True),
    ],
)
def test_resumed_run_is_the_uninterrupted_one(sizes, loader, trainer, tmp_path, hook, lr_schedule, shuffle):
    def fit(seed, callbacks, **kwargs):
        torch.manual_seed(seed)
        model = LSTMForecaster(hidden_size=4, dropout=0.4, lr=1e-2, lr_schedule=lr_schedule, **sizes)
        running = trainer(max_epochs=4, callbacks=callbacks)
        running.fit(model, loader(64, shuffle=shuffle), loader(32), **kwargs)
        return model.state_dict()

    whole = fit(1, [SaveAfterEpoch(hook, 1, tmp_path / "half.ckpt")])
    resumed = fit(2, [], ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_learning_rate_finder_changes_what_is_used_and_saved(sizes, loader, trainer, tmp_path):
    forecaster = LSTMForecaster(hidden_size=4, lr_schedule="cosine", **sizes)
    running = trainer(max_epochs=1, limit_val_batches=0, enable_checkpointing=True)
    data = loader(64, batch_size=4)
    finder = Tuner(running).lr_find(forecaster, data, num_training=16)
    assert forecaster.hparams.lr == finder.suggestion() != 1e-3
    running.fit(forecaster, data)
    assert running.optimizers[0].param_groups[0]["initial_lr"] == forecaster.hparams.lr
    running.save_checkpoint(tmp_path / "found.ckpt")
    assert seqlight.load(tmp_path / "found.ckpt").hparams.lr == forecaster.hparams.lr


@pytest.mark.parametrize(
    ("name", "first", "middle", "last"), [("cosine", 1.0, 0.5, 0.0), ("one_cycle", 0.04, None, 4e-6)]
)
def test_schedules_span_the_training(sizes, loader, trainer, name, first, middle, last):
    class Rates(Callback):
        def __init__(self):
            self.seen = []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.seen.append(optimizer.param_groups[0]["lr"])

    rates = Rates()
    forecaster = LSTMForecaster(hidden_size=2, lr=0.1, lr_schedule=name, optimizer="sgd", **sizes)
    trainer(max_epochs=5, callbacks=[rates]).fit(forecaster, loader(64, batch_size=16))
    assert len(rates.seen) == 20
    assert rates.seen[0] == pytest.approx(0.1 * first)
    if middle is not None:
        assert rates.seen[10] == pytest.approx(0.1 * middle)
    else:
        assert max(rates.seen) == pytest.approx(0.1, rel=1e-3)
    assert rates.seen[-1] == pytest.approx(0.1 * last, abs=1e-3)


def test_schedule_needs_an_end(sizes, loader, trainer):
    forecaster = LSTMForecaster(hidden_size=2, lr_schedule="cosine", **sizes)
    with pytest.raises(ValueError, match="needs a training of known length: set max_epochs or max_steps"):
        trainer(max_epochs=-1, limit_val_batches=0).fit(forecaster, loader(64))


@pytest.mark.parametrize(("optimizer", "weight_decay"), [("adamw", 0.1), ("sgd", 0.0)])
def test_optimizer_by_name(sizes, optimizer, weight_decay):
    forecaster = LSTMForecaster(
        hidden_size=2, optimizer=optimizer, weight_decay=weight_decay, lr=0.3, **sizes
    )
    made = forecaster.configure_optimizers()
    assert type(made).__name__.lower() == optimizer
    assert made.param_groups[0]["lr"] == 0.3
    assert made.param_groups[0]["weight_decay"] == weight_decay


@pytest.mark.parametrize("strategy", ["direct", "recursive", "every_step"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_precisions(sizes, loader, trainer, precision, strategy):
    torch.manual_seed(0)
    forecaster = LSTMForecaster(hidden_size=16, strategy=strategy, peephole=True, lr=2e-2, **sizes)
    data = loader(128, missing=0.1)
    before = mae_of(forecaster, data, trainer)
    running = trainer(max_epochs=3, precision=precision)
    running.fit(forecaster, data)
    assert (
        next(forecaster.network.parameters()).dtype
        == {"bf16-mixed": torch.float32, "bf16-true": torch.bfloat16, "64-true": torch.float64}[precision]
    )
    forecast = forecaster(data.dataset[0]["past_target"][None])
    assert forecast.dtype == (torch.float64 if precision == "64-true" else torch.float32)
    running.validate(forecaster, data, verbose=False)
    assert running.callback_metrics["val_mae"].item() < 0.8 * before


def test_deterministic_training_repeats_itself(sizes, loader, trainer):
    def run():
        torch.manual_seed(3)
        forecaster = LSTMForecaster(
            hidden_size=4, dropout=0.3, num_layers=2, observed_indicator=True, **sizes
        )
        trainer(max_epochs=1, deterministic=True, limit_val_batches=0).fit(
            forecaster, loader(64, missing=0.1)
        )
        return forecaster.state_dict()

    try:
        first, second = run(), run()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(first[name], second[name]) for name in first)


@TRACING
def test_compiled_network_trains_the_same(sizes, loader, trainer):
    def run(compiled):
        torch.manual_seed(3)
        forecaster = LSTMForecaster(hidden_size=4, peephole=True, **sizes)
        if compiled:
            forecaster.network.compile(fullgraph=True, backend="aot_eager")
        trainer(max_epochs=1, limit_val_batches=0).fit(forecaster, loader(64))
        return forecaster.state_dict()

    plain, compiled = run(False), run(True)
    for name, value in plain.items():
        torch.testing.assert_close(value, compiled[name], rtol=1e-4, atol=1e-5)


@TRACING
def test_whole_forecaster_is_exported(sizes):
    forecaster = LSTMForecaster(hidden_size=4, peephole=True, future_covariate_size=2, **sizes).eval()
    inputs = forecaster.example_inputs(2)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        forecaster, (), kwargs=inputs, dynamic_shapes={name: {0: batch} for name in inputs}
    )
    inputs = {name: torch.randn(5, *value.shape[1:]) for name, value in inputs.items()}
    torch.testing.assert_close(exported.module()(**inputs), forecaster(**inputs))
