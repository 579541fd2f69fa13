"""A WaveNet learns a melody of plucked strings, sample by sample, and plays on by itself.

The waveform is synthesised here, coded by mu-law into 256 classes, and learned by a gated WaveNet with a
categorical output. Then the net continues the first notes: every sample is drawn from the net's distribution
and fed back as its next input, which runs natively and costs the same whatever the receptive field.

    python examples/generate_waveform.py
    python examples/generate_waveform.py --steps 1000 --seconds 6 --temperature 0.9 --output strings

writes ``waveform.wav`` (8 kHz, to listen to) and ``waveform.png`` (to look at).
"""

import argparse
import time
import wave
from pathlib import Path

import numpy as np
import torch
from lightning import LightningModule, Trainer, seed_everything
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqlight.nn import WaveNet
from seqlight.transforms import mu_law_decode, mu_law_encode

RATE = 8000  # samples a second
NOTES = (220.0, 261.63, 293.66, 329.63, 392.0, 440.0)  # Hz, A minor pentatonic
NOTE_SECONDS = 0.2
PROMPT_SECONDS = 0.4
CROP = 2048  # samples of one training sequence
BATCH = 2
NOISE = 0.01  # its deviation in training


def pluck(frequency: float, seconds: float) -> NDArray[np.float64]:
    """A plucked string: eight harmonics, the higher ones weaker and sooner over."""
    t = np.arange(round(seconds * RATE)) / RATE
    harmonics = [
        np.exp(-t * (4 + 3 * number)) * np.sin(2 * np.pi * number * frequency * t) / number
        for number in range(1, 9)
    ]
    tone: NDArray[np.float64] = np.sum(harmonics, axis=0) * np.minimum(1, t / 0.002)
    return tone


def melody(seconds: float, seed: int = 0) -> Tensor:
    """Notes in random order, none twice in a row: float32 [samples] between -0.8 and 0.8."""
    rng = np.random.default_rng(seed)
    place, tones = 0, []
    for _ in range(round(seconds / NOTE_SECONDS)):
        place = int((place + rng.integers(1, len(NOTES))) % len(NOTES))  # any other note
        tones.append(pluck(NOTES[place], NOTE_SECONDS))
    waveform = np.concatenate(tones)
    return torch.from_numpy(0.8 * waveform / np.abs(waveform).max()).float()


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random pieces of a waveform as classes: what the net reads, and the sample after each.

    What it reads has a little noise in it, as its own samples will have: so it learns to find back to the
    waveform, where otherwise small errors would add up.
    """

    def __init__(self, waveform: Tensor, count: int) -> None:
        self.waveform = waveform
        self.classes = mu_law_encode(waveform)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        begin = int(torch.randint(len(self.classes) - CROP, ()))
        read = self.waveform[begin : begin + CROP]
        return mu_law_encode(read + NOISE * torch.randn(CROP)), self.classes[begin + 1 : begin + CROP + 1]


class WaveformModel(LightningModule):
    """A gated WaveNet over mu-law classes that says the next one."""

    def __init__(self, *, channels: int = 32, lr: float = 3e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = WaveNet(
            256, 256, hidden_size=channels, skip_size=2 * channels, num_blocks=2, layers_per_block=9
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross entropy of each sample after the ones before it."""
        read, following = batch
        logits, _ = self.net(read)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        """Adam, with a learning rate that rises and falls once over the whole training."""
        optimizer = torch.optim.Adam(self.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.hparams["lr"], total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def write_wav(path: Path, waveform: Tensor) -> None:
    """Write 16-bit mono at `RATE`."""
    samples = (waveform.clamp(-1, 1) * 32767).short().numpy().astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def draw(original: Tensor, generated: Tensor, prompt: int) -> Figure:
    """Waveform, a few hundredths of a second of it, and spectrogram; original and generated."""
    figure = Figure(figsize=(12, 7), dpi=130, layout="constrained")
    panels = figure.subplots(3, 2, sharey="row")
    begin = prompt + round(0.35 * RATE)
    closer = slice(begin, begin + round(0.04 * RATE))
    for column, (name, waveform, colour) in enumerate(
        (("synthesised, coded", original, "#3b4252"), ("generated", generated, "#d1495b"))
    ):
        seconds = np.arange(len(waveform)) / RATE
        whole, close, spectrum = panels[:, column]
        whole.plot(seconds, waveform, color=colour, linewidth=0.4)
        whole.set_title(name, loc="left", fontweight="bold", color="#222222")
        whole.set_xlim(0, seconds[-1])
        if name == "generated":
            whole.axvspan(0, prompt / RATE, color="#e6e6e6", zorder=0, linewidth=0)
            whole.text(0.01, 0.03, "given", transform=whole.transAxes, fontsize=8, color="#7a7a7a")
        close.plot(1000 * seconds[closer], waveform[closer], color=colour, linewidth=1.1)
        close.set_xlabel("milliseconds")
        spectrum.specgram(waveform, NFFT=512, Fs=RATE, noverlap=384, cmap="magma", vmin=-120, vmax=-30)
        spectrum.set_ylim(0, 3000)
        spectrum.set_xlabel("seconds")
    for ax, label in zip(panels[:, 0], ("amplitude", "amplitude", "frequency, Hz"), strict=True):
        ax.set_ylabel(label)
    for ax in panels[:2].flat:
        ax.grid(color="#e6e6e6", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle("A WaveNet plays on", x=0.01, ha="left", fontsize=14, fontweight="bold")
    return figure


def main() -> None:
    """Synthesise, train, generate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="of training (default 600)")
    parser.add_argument("--channels", type=int, default=32, help="of the net (default 32)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of sound to generate (default 3)")
    parser.add_argument("--temperature", type=float, default=0.7, help="below 1: safer samples (default 0.7)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("waveform"), help="path without ending")
    given = parser.parse_args()

    seed_everything(given.seed, verbose=False)
    original = melody(6.0)
    classes = mu_law_encode(original)
    model = WaveformModel(channels=given.channels)
    print(f"{len(original)} samples; receptive field {1000 * model.net.receptive_field / RATE:.0f} ms")

    batches = DataLoader(Crops(original, BATCH * given.steps), batch_size=BATCH)
    trainer = Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    trainer.fit(model, batches)

    prompt = round(PROMPT_SECONDS * RATE)
    steps = max(0, round(given.seconds * RATE) - prompt)
    seed = torch.tensor([given.seed])
    begin = time.perf_counter()
    following, _ = model.net.generate(
        classes[None, :prompt], steps, head="categorical", temperature=given.temperature, seed=seed
    )
    took = time.perf_counter() - begin
    print(f"{steps} samples in {took:.2f} s: {steps / RATE / max(took, 1e-9):.1f} times as fast as they play")

    generated = mu_law_decode(torch.cat([classes[:prompt], following[0]]))
    write_wav(given.output.with_suffix(".wav"), generated)
    draw(mu_law_decode(classes[: len(generated)]), generated, prompt).savefig(
        given.output.with_suffix(".png")
    )
    print(f"wrote {given.output.with_suffix('.wav')} and {given.output.with_suffix('.png')}")


if __name__ == "__main__":
    main()
