"""Models from a sequence to a label: they learn, mind lengths and missing cells, come back, and refuse."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

import seqlight
from seqlight.data import SyntheticDataModule
from seqlight.models import SequenceClassifier, SequenceRegressor, StepClassifier

LAYERS = {"num_layers": 2, "dropout": 0.1}
CORES = [
    ("rnn", LAYERS),
    ("lstm", {"peephole": True}),
    ("gru", {"bidirectional": True}),
    ("tcn", {"num_blocks": 3, "dropout": 0.1}),
    ("wavenet", {"num_blocks": 1, "gated": False}),
]


def data_module(generator, length, *, n_train=256):
    return SyntheticDataModule(
        generator, context_length=length, n_train=n_train, n_val=64, n_test=64, batch_size=32
    )


@pytest.mark.parametrize(("core", "options"), CORES)
@pytest.mark.parametrize("model_class", [SequenceClassifier, SequenceRegressor, StepClassifier])
def test_every_core_fits_and_comes_back(trainer, tmp_path, model_class, core, options):
    generator = {
        SequenceClassifier: "waveforms",
        SequenceRegressor: "adding_problem",
        StepClassifier: "copy_memory",
    }[model_class]
    data = data_module(generator, 22, n_train=32)
    sizes = {"num_classes": data.num_classes} if data.num_classes else {"label_size": data.label_size}
    model = model_class(core=core, hidden_size=4, core_options=options, input_size=data.target_size, **sizes)
    running = trainer(max_epochs=1)
    running.fit(model, data)
    running.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    loaded = seqlight.load(tmp_path / "a.ckpt")
    assert type(loaded) is model_class and dict(loaded.hparams) == dict(model.hparams)
    x = 3 + torch.randn(5, 22, data.target_size)
    expected = {SequenceClassifier: (5, 4), SequenceRegressor: (5, 1), StepClassifier: (5, 22, 10)}
    assert loaded(x).shape == expected[model_class]
    assert torch.equal(loaded(x), model.eval()(x))
    assert loaded.transform.fitted and torch.equal(loaded.transform.mean, model.transform.mean)


def test_tells_waves_apart(trainer):
    torch.manual_seed(0)
    data = data_module("waveforms", 60, n_train=1500)
    model = SequenceClassifier(num_classes=4, core="gru", hidden_size=16, pooling="mean", lr=2e-2)
    running = trainer(max_epochs=3, gradient_clip_val=1.0)
    running.fit(model, data)
    running.test(model, data, verbose=False)
    assert running.callback_metrics["test_accuracy"] > 0.85  # 0.25 by chance
    (first, *_) = running.predict(model, data)
    label = next(iter(data.test_dataloader()))["label"]
    assert first["probability"].shape == (32, 4) and "series_index" in first
    assert (first["label"] == label).float().mean() > 0.8


def test_adds_two_numbers(trainer):
    torch.manual_seed(0)
    data = data_module("adding_problem", 8, n_train=1500)
    model = SequenceRegressor(input_size=2, core="gru", hidden_size=16, lr=2e-2, lr_schedule="one_cycle")
    running = trainer(max_epochs=5)
    running.fit(model, data)
    assert running.callback_metrics["val_loss"] < 0.2 / 6  # always saying 1: 1/6
    assert running.callback_metrics["val_rmse"] ** 2 == pytest.approx(running.callback_metrics["val_loss"])


def test_repeats_what_it_remembers(trainer):
    torch.manual_seed(0)
    data = data_module("copy_memory", 21, n_train=1500)
    model = StepClassifier(num_classes=10, core="tcn", hidden_size=16, transform="none", lr=1e-2)
    running = trainer(max_epochs=2)
    running.fit(model, data)
    assert running.callback_metrics["val_loss"] < 0.7 * 10 * math.log(8) / 21


@pytest.mark.parametrize(
    ("core", "options"),
    [("lstm", {}), ("gru", {"bidirectional": True}), ("tcn", {}), ("rnn", {"num_layers": 2})],
)
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("transform", ["none", "instance"])
def test_rows_of_a_batch_are_as_long_as_they_say(core, options, pooling, transform):
    model = SequenceClassifier(
        input_size=2, core=core, core_options=options, hidden_size=4, pooling=pooling, transform=transform
    )
    x, lengths = torch.randn(3, 9, 2), torch.tensor([9, 4, 1])
    x[1, 4:] = 1e6
    together = model(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(together[row : row + 1], model(x[row : row + 1, :length]))


def test_what_pooling_keeps():
    x = torch.randn(3, 9, 2)
    for options in ({}, {"bidirectional": True}):
        last, mean = (
            SequenceClassifier(
                input_size=2, core="gru", core_options=options, pooling=pooling, transform="none"
            )
            for pooling in ("last", "mean")
        )
        output, h = last.network.core(x)
        torch.testing.assert_close(last(x), last.network.head(h.transpose(0, 1).flatten(1)))
        output, _ = mean.network.core(x)
        torch.testing.assert_close(mean(x), mean.network.head(output.mean(1)))


def test_missing_cells_are_the_mean():
    model = SequenceClassifier(transform="standard")
    model.transform.fit(torch.tensor([[3.0], [5.0]]))
    x = torch.randn(2, 9, 1)
    x[0, 3] = math.nan
    filled = x.clone()
    filled[0, 3] = 4
    torch.testing.assert_close(model(x), model(filled))


def test_labels_that_are_unknown_do_not_count(trainer):
    x, label = torch.randn(4, 5, 1), torch.tensor([[0, 1, -100, 1, 0]] * 4)
    label[1] = -100
    model = StepClassifier(num_classes=2, hidden_size=3, transform="none")
    samples = [{"past_target": x[i], "label": label[i]} for i in range(4)]
    running = trainer()
    running.validate(model, torch.utils.data.DataLoader(samples, batch_size=3), verbose=False)
    logits, known = model(x).flatten(0, 1), label.flatten() >= 0
    expected = cross_entropy(logits[known], label.flatten()[known]).item()
    assert running.callback_metrics["val_loss"].item() == pytest.approx(expected, rel=1e-5)
    hits = (logits.argmax(1) == label.flatten())[known].float().mean().item()
    assert running.callback_metrics["val_accuracy"].item() == pytest.approx(hits)

    numbers = torch.tensor([[1.0, 2.0], [math.nan, 0.0]])
    regressor = SequenceRegressor(label_size=2, hidden_size=3, transform="none", loss="mae")
    samples = [{"past_target": x[i], "label": numbers[i]} for i in range(2)]
    running.validate(regressor, torch.utils.data.DataLoader(samples, batch_size=2), verbose=False)
    errors = (regressor(x[:2]) - numbers).abs().flatten()[[0, 1, 3]]
    assert running.callback_metrics["val_loss"].item() == pytest.approx(errors.mean().item(), rel=1e-5)


def test_a_core_of_ones_own(trainer):
    class Mine(SequenceClassifier):
        def build_core(self):
            return torch.nn.GRU(1, self.hparams["hidden_size"], batch_first=True)

    running = trainer(max_epochs=1)
    running.fit(Mine(num_classes=4, hidden_size=4), data_module("waveforms", 20, n_train=32))
    assert running.callback_metrics["val_loss"].isfinite()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"core": "transformer"}, "core: expected one of 'lstm', 'gru', 'rnn', 'tcn', 'wavenet'"),
        (
            {"core": "gru", "core_options": {"peephole": True}},
            "core_options: GRU has no option 'peephole'",
        ),
        ({"pooling": "none"}, "pooling: expected one of 'last', 'mean'"),
        ({"num_classes": 1}, "num_classes"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"transform": "scaled"}, "transform"),
        ({"lr": -1.0}, "lr"),
    ],
)
def test_wrong_arguments(argument, message):
    with pytest.raises(ValueError, match=message):
        SequenceClassifier(**argument)


def test_wrong_batches():
    model = SequenceClassifier(num_classes=3, hidden_size=4, transform="none")
    x = torch.randn(2, 5, 1)
    with pytest.raises(ValueError, match=r"past_target: expected shape \[B, T, C\] = \[B, T, 1\]"):
        model(torch.randn(2, 5, 2))
    for lengths in ([0, 5], [5, 6]):
        with pytest.raises(ValueError, match="lengths: expected 1 to T = 5 steps, got"):
            model(x, torch.tensor(lengths))
    with pytest.raises(ValueError, match="batch: missing label; it has past_target"):
        model.validation_step({"past_target": x}, 0)
    with pytest.raises(ValueError, match=r"label: expected shape \[B\] = \[2\], got \[2, 5\]"):
        model.validation_step({"past_target": x, "label": torch.zeros(2, 5).long()}, 0)
    with pytest.raises(ValueError, match=r"label: expected whole numbers \(int64\)"):
        model.validation_step({"past_target": x, "label": torch.zeros(2)}, 0)


# torch's own call of an autograd.Function while it traces.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("core", "options"), [("gru", {"bidirectional": True}), ("tcn", {})])
def test_model_is_exported_for_any_length(core, options):
    model = SequenceClassifier(core=core, core_options=options, hidden_size=4, transform="instance").eval()
    batch, steps = torch.export.Dim("batch"), torch.export.Dim("steps")
    exported = torch.export.export(
        model, (), kwargs=model.example_inputs(3), dynamic_shapes={"past_target": {0: batch, 1: steps}}
    )
    x = torch.randn(5, 17, 1)
    torch.testing.assert_close(exported.module()(past_target=x), model(x))
