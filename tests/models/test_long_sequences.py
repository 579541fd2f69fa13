"""Truncated backpropagation through time, stateful training: gradients, memory, the Trainer's features."""

import runpy
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import seqlight
from seqlight.data import StatefulSampler, SyntheticDataModule, TBPTTLoader, WindowLoader
from seqlight.models import (
    CarriesState,
    EncoderDecoderForecaster,
    Forecaster,
    GRUForecaster,
    LSTMForecaster,
    RNNForecaster,
    SequenceNetwork,
    TCNForecaster,
    WaveNetForecaster,
)

covariates = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("covariates.py"))))

LAYERS = {
    "rnn": lambda: seqlight.nn.RNN(2, 5),
    "lstm": lambda: seqlight.nn.LSTM(2, 5, num_layers=3, peephole=True),
    "gru": lambda: seqlight.nn.GRU(2, 5),
    "torch": lambda: nn.GRU(2, 5, num_layers=3, batch_first=True),
    "tcn": lambda: seqlight.nn.TCN(2, 5, num_blocks=2, kernel_size=4),  # states [B, 3, C] at B = 3
    "wavenet": lambda: seqlight.nn.WaveNet(
        2, 5, hidden_size=4, layers_per_block=2, num_blocks=1, kernel_size=4
    ),
}


class Model(CarriesState):
    """A user's own module: a layer with its state in and out, a head, a loss over all steps."""

    def __init__(self, layer="lstm", lr=0.1):
        super().__init__()
        torch.manual_seed(0)
        self.layer = LAYERS[layer]()
        self.head = nn.Linear(5, 1)
        self.lr = lr
        self.losses = []

    def training_step(self, batch, batch_idx):
        state = self.carried_state(batch["reset"])
        if "lengths" in batch:
            output, state = self.layer(batch["x"], state, batch["lengths"])
            steps = torch.arange(output.shape[1]) < batch["lengths"][:, None]
            errors = (self.head(output) - batch["y"])[..., 0].square()
            loss = torch.where(steps, errors, 0.0).sum() / steps.sum().clamp(min=1)
        else:
            output, state = self.layer(batch["x"], state)
            loss = mse_loss(self.head(output), batch["y"])
        self.carry_state(state)
        self.log("loss", loss, batch_size=len(batch["x"]))
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)


def sequences(rows=6, length=11):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, length, 2, generator=generator)
    return x, x.cumsum(1)[..., :1].tanh()


def chunks_of(x, y, steps, batch_size=3, **more):
    loader = DataLoader(TensorDataset(x, y, *more.values()), batch_size=batch_size)
    return TBPTTLoader(loader, steps, length=x.shape[1], names=("x", "y", *more))


@pytest.mark.parametrize("layer", LAYERS)
def test_trains_as_tbptt_written_by_hand(layer, trainer):
    x, y = sequences()
    model = Model(layer)
    trainer(max_epochs=2).fit(model, chunks_of(x, y, 4))

    by_hand = Model(layer)
    optimizer = torch.optim.SGD(by_hand.parameters(), by_hand.lr)
    losses = []
    for _ in range(2):
        for rows in (slice(0, 3), slice(3, 6)):
            state = None
            for begin in (0, 4, 8):
                if state is not None:
                    state = (
                        state.detach()
                        if isinstance(state, torch.Tensor)
                        else tuple(part.detach() for part in state)
                    )
                steps = slice(begin, begin + 4)
                output, state = by_hand.layer(x[rows, steps], state)
                loss = mse_loss(by_hand.head(output), y[rows, steps])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
    assert model.losses == losses
    for ours, theirs in zip(model.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_chunks_as_long_as_the_sequence_are_full_bptt(trainer):
    x, y = sequences()
    chunked, whole = Model(), Model()
    trainer(max_epochs=2).fit(chunked, chunks_of(x, y, 11))
    optimizer = torch.optim.SGD(whole.parameters(), whole.lr)
    for _ in range(2):
        for rows in (slice(0, 3), slice(3, 6)):
            optimizer.zero_grad()
            mse_loss(whole.head(whole.layer(x[rows])[0]), y[rows]).backward()
            optimizer.step()
    for ours, theirs in zip(chunked.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_rows_of_different_lengths(trainer):
    """A row that has ended neither learns nor moves the state of the others."""
    x, y = sequences(3)
    lengths = torch.tensor([11, 3, 6])
    together = Model(lr=0.0)
    trainer(max_epochs=1).fit(together, chunks_of(x, y, 4, lengths=lengths))
    state = together._carried[True][0]
    for row, length in enumerate(lengths.tolist()):
        _, alone = together.layer(x[row : row + 1, :length])
        for part, own in zip(state, alone, strict=True):
            torch.testing.assert_close(part[:, row : row + 1], own)


@pytest.mark.parametrize("strategy", ["every_step", "recursive"])
@pytest.mark.parametrize(
    "kind", [RNNForecaster, LSTMForecaster, GRUForecaster, WaveNetForecaster, TCNForecaster]
)
def test_a_forecasters_chunks_sum_up_to_the_windows_loss(kind, strategy, windows):
    samples = windows(4, missing=0.2)
    batch = torch.utils.data.default_collate(samples)
    # Evaluated, for categories are dropped in training by chance.
    batch |= covariates.covariates_of(batch["series_index"], 24, 6, past=strategy == "every_step")
    forecaster = kind(
        context_length=24,
        prediction_length=6,
        hidden_size=4,
        strategy=strategy,
        transform="none",
        observed_indicator=True,
        **(covariates.EVERY if strategy == "every_step" else covariates.AHEAD),
    ).eval()
    window, _ = forecaster._batch_window(batch, with_future=True)
    future = forecaster._future(batch)
    total, count = forecaster.strategy.loss(forecaster.network, window, future, forecaster.pointwise_loss)
    sums = [forecaster._chunk_loss(chunk) for chunk in TBPTTLoader([batch], 7)]
    assert len(sums) == 4
    torch.testing.assert_close(sum(part for part, _ in sums), total, rtol=1e-5, atol=1e-5)
    assert sum(part for _, part in sums) == count


def test_whole_window_in_one_chunk_trains_as_without(trainer):
    def trained(**chunks):
        torch.manual_seed(0)
        data = SyntheticDataModule(n_train=32, n_val=4, n_test=4, context_length=20, batch_size=8, **chunks)
        model = LSTMForecaster(
            context_length=20, prediction_length=1, hidden_size=4, strategy="every_step", transform="standard"
        )
        trainer(max_epochs=2).fit(model, data)
        return model.state_dict()

    whole, one, several = trained(), trained(tbptt_steps=20), trained(tbptt_steps=7)
    assert all(torch.equal(value, one[name]) for name, value in whole.items())
    assert not all(torch.equal(value, several[name]) for name, value in whole.items())


class LiveSavedTensors(Callback):
    """The largest number of bytes kept for backward at any moment, by autograd's own hooks."""

    def __init__(self):
        self.live = self.most = 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.pack, lambda kept: kept.tensor)
        self.hooks.__enter__()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.hooks.__exit__(None, None, None)

    def pack(self, tensor):
        kept = Kept(tensor)
        self.live += tensor.nbytes
        self.most = max(self.most, self.live)
        weakref.finalize(kept, self.release, tensor.nbytes)
        return kept

    def release(self, size):
        self.live -= size


class Kept:
    def __init__(self, tensor):
        self.tensor = tensor


@pytest.mark.parametrize("layer", ["lstm", "gru"])
def test_memory_does_not_grow_with_the_sequence(layer, trainer):
    def most(length, steps):
        x, y = sequences(2, length)
        watch = LiveSavedTensors()
        trainer(max_epochs=1, callbacks=[watch]).fit(Model(layer), chunks_of(x, y, steps, batch_size=2))
        return watch.most

    assert most(1000, 100) == most(20_000, 100)
    assert most(1000, 1000) > 9 * most(1000, 100)


def test_lightnings_own_features_work_on_chunks(trainer):
    """Clipping by Lightning's argument, accumulation, a schedule over all chunks, the progress bar."""

    class Watch(Callback):
        def __init__(self):
            self.norms, self.rates = [], []

        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            norms = [p.grad.norm() for p in pl_module.parameters() if p.grad is not None]
            if norms:
                self.norms.append(torch.stack(norms).norm().item())
                self.rates.append(optimizer.param_groups[0]["lr"])

    torch.manual_seed(0)
    watch = Watch()
    data = SyntheticDataModule(n_train=32, n_val=4, n_test=4, context_length=20, batch_size=8, tbptt_steps=5)
    model = LSTMForecaster(
        context_length=20,
        prediction_length=1,
        hidden_size=4,
        strategy="every_step",
        transform="standard",
        lr_schedule="cosine",
        lr=0.01,
    )
    running = trainer(max_epochs=2, gradient_clip_val=0.05, accumulate_grad_batches=2, callbacks=[watch])
    running.fit(model, data)
    assert running.num_training_batches == 16  # 4 batches of 4 chunks
    assert running.estimated_stepping_batches == running.global_step == 16  # two chunks each
    assert max(watch.norms) == pytest.approx(0.05, rel=1e-4)
    assert watch.rates[0] == pytest.approx(0.01, rel=0.2)
    assert watch.rates[-1] < 0.001
    assert {"train_loss", "val_loss"} <= running.callback_metrics.keys()


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_precisions(precision, trainer):
    x, y = sequences()
    if precision == "64-true":
        x, y = x.double(), y.double()
    model = Model()
    trainer(max_epochs=5, precision=precision).fit(model, chunks_of(x, y, 4))
    assert sum(model.losses[-6:]) < sum(model.losses[:6])


def test_stateful_rows_carry_their_state_and_no_others(trainer):
    """Two series over two rows, one longer: each row's state is that of its own series from its beginning."""
    x = torch.randn(5, 4, 2)  # series a: chunks 0 to 2; series b: chunks 3 and 4
    data = [{"x": chunk, "y": chunk[:, :1]} for chunk in x]
    sampler = StatefulSampler([3, 2], batch_size=2)
    loader = WindowLoader(data, batch_size=2, sampler=sampler)
    model = Model(lr=0.0)
    states = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            states.append(pl_module._carried[True][0][0][:, :, :].clone())

    trainer(max_epochs=1, callbacks=[Watch()]).fit(model, loader)
    a = x[:3].flatten(0, 1)[None]
    b = x[3:].flatten(0, 1)[None]
    for batch, ends in enumerate(((4, 4), (8, 8), (12,))):
        for row, (series, end) in enumerate(zip((a, b), ends, strict=False)):
            expected = model.layer(series[:, :end])[1][0]
            torch.testing.assert_close(states[batch][:, row : row + 1], expected)


def test_validation_in_between_leaves_the_training_state_alone():
    model = Model()
    reset = torch.tensor([True, True])
    carried = torch.randn(3, 2, 5), torch.randn(3, 2, 5)
    assert model.carried_state(reset) is None
    model.carry_state(carried)
    model.eval()
    assert model.carried_state(~reset) is None
    model.carry_state(tuple(torch.zeros(3, 2, 5) for _ in range(2)))
    model.train()
    h, c = model.carried_state(torch.tensor([False, True]))
    assert torch.equal(h[:, 0], carried[0][:, 0]) and torch.equal(c[:, 0], carried[1][:, 0])
    assert not h[:, 1].any() and not c[:, 1].any()


def test_a_row_that_starts_anew_forgets_even_nan():
    model = Model("gru")
    model.carried_state(torch.tensor([True, True]))
    model.carry_state(torch.full((1, 2, 5), torch.nan))
    assert torch.equal(model.carried_state(torch.tensor([True, False]))[0, 0], torch.zeros(5))


def test_batch_axes_of_a_mixed_state():
    class Mixed(CarriesState):
        state_batch_dim = (0, 1)

    mixed = Mixed()
    reset = torch.tensor([True, True])
    mixed.carried_state(reset)
    mixed.carry_state((torch.ones(2, 2, 4), torch.ones(2, 2, 4)))
    conv, recurrent = mixed.carried_state(torch.tensor([False, True]))
    assert not conv[1].any() and conv[0].all()
    assert not recurrent[:, 1].any() and recurrent[:, 0].all()


def test_mistakes_are_explained():
    model = Model()
    with pytest.raises(RuntimeError, match=r"call carried_state\(batch\['reset'\]\) first"):
        model.carry_state(None)
    with pytest.raises(TypeError, match=r"reset: expected a bool tensor \[B\], got torch.float32 \[3\]"):
        model.carried_state(torch.zeros(3))
    model.carried_state(torch.tensor([True, True]))
    with pytest.raises(
        ValueError, match=r"expected 2 rows at axis 1 \(state_batch_dim\), got a tensor of shape"
    ):
        model.carry_state(torch.zeros(1, 3, 5))
    with pytest.raises(
        TypeError, match="state: expected a tensor, or tuples, lists and dicts of tensors, got str"
    ):
        model.carry_state("h")
    model.carry_state(torch.zeros(1, 2, 5))
    with pytest.raises(ValueError, match="at most the 2 rows of the batch before; got 3 rows"):
        model.carried_state(torch.tensor([True, True, False]))
    bare = CarriesState()
    bare.carried_state(torch.tensor([True, True]))
    with pytest.raises(ValueError, match=r"cannot tell which axis of \[2, 2, 5\] is the batch of 2 rows"):
        bare.carry_state(torch.zeros(2, 2, 5))


class Stateless(Forecaster):
    def build_network(self):
        class Layer(nn.Linear):
            def forward(self, x, state=None):
                return super().forward(x), None

        return SequenceNetwork(Layer(self.input_size, 4), nn.Linear(4, self.output_size))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (LSTMForecaster, {"strategy": "direct"}, "a chunk of 7 of its 24 steps has none"),
        (LSTMForecaster, {"transform": "instance"}, "transform='instance' depends on the window"),
        (Stateless, {}, "SequenceNetwork has no state to carry"),
        (EncoderDecoderForecaster, {}, "strategy='encoder_decoder' begins every window anew"),
    ],
)
def test_forecasters_refuse_what_has_no_meaning(kind, settings, message, windows):
    options = {"strategy": "every_step", "transform": "none"} | settings
    if kind is EncoderDecoderForecaster:
        del options["strategy"]  # it has its own
    forecaster = kind(context_length=24, prediction_length=6, **options)
    batch = torch.utils.data.default_collate(windows(4))
    with pytest.raises(ValueError, match=message):
        forecaster._chunk_loss(next(iter(TBPTTLoader([batch], 7))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "direct", "transform": "none"}, "a chunk of 7 of its 24 steps has none"),
        ({"strategy": "every_step"}, "transform='instance' depends on the window"),
        ({"strategy": "every_step", "transform": "difference(1) + standard"}, "depends on the window"),
    ],
)
def test_data_modules_chunks_are_refused_before_any_work(settings, message, trainer):
    data = SyntheticDataModule(n_train=9, n_val=2, n_test=2, context_length=24, tbptt_steps=7)
    forecaster = LSTMForecaster(context_length=24, prediction_length=1, **settings)
    with pytest.raises(ValueError, match=message):
        trainer(max_epochs=1).fit(forecaster, data)
    assert not forecaster.transform.fitted


def test_a_composed_transform_of_single_values_will_do(trainer):
    data = SyntheticDataModule(
        n_train=9, n_val=2, n_test=2, context_length=24, trend=1.0, tbptt_steps=7, batch_size=4
    )
    forecaster = LSTMForecaster(
        context_length=24, prediction_length=1, strategy="every_step", transform="standard + min_max"
    )
    running = trainer(max_epochs=1)
    running.fit(forecaster, data)
    assert running.callback_metrics["train_loss"].isfinite()
