"""No command writes over what it reads, or over a first run's configuration; a full disk is one line."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import seqlight

Run = Callable[..., int]

QUIET = [
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
]
ONE_STEP = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
COLUMNS = ["--time", "ds", "--target", "sales", "--id", "shop"]


@pytest.fixture(scope="module")
def trained(two_series_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data.csv``, ``config.yaml``, ``model.yaml`` and the checkpoint ``last.ckpt``."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data.csv").write_bytes(two_series_csv.read_bytes())
    data = {
        "path": str(folder / "data.csv"),
        "time_col": "ds",
        "target_cols": "sales",
        "id_col": "shop",
        "missing": "mask",
        "context_length": 24,
        "prediction_length": 6,
    }
    model = {"class_path": "LSTMForecaster", "init_args": {"hidden_size": 2}}
    configuration = {"model": model, "data": {"class_path": "CSVDataModule", "init_args": data}}
    (folder / "config.yaml").write_text(json.dumps(configuration))  # JSON is YAML
    (folder / "model.yaml").write_text(json.dumps(model))
    from seqlight.cli import main

    checkpoints = ["ModelCheckpoint", f"dirpath={folder}", "save_last=true", "save_top_k=0"]
    callback = [
        f"--trainer.callbacks{'=' if index == 0 else '.'}{text}" for index, text in enumerate(checkpoints)
    ]
    root = f"--trainer.default_root_dir={folder / 'root'}"
    options = [*QUIET, *ONE_STEP, "--trainer.logger=false", root]
    assert main(["fit", "--config", str(folder / "config.yaml"), *callback, *options]) == 0
    assert (folder / "last.ckpt").is_file()
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, the working folder."""
    for path in trained.iterdir():
        if path.is_file():
            text = path.read_bytes()
            if path.suffix == ".yaml":
                text = text.replace(str(trained).encode(), str(tmp_path).encode())
            (tmp_path / path.name).write_bytes(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


OWN_DATA = "--data.path=data.csv"


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.parametrize("how", ["same", "relative", "symbolic", "hard"])
@pytest.mark.parametrize(
    ("read", "argv"),
    [
        ("data.csv", ["forecast", "data.csv", *COLUMNS, "--output"]),
        ("data.csv", ["forecast", "data.csv", *COLUMNS, "--save"]),
        ("data.csv", ["impute", "data.csv", *COLUMNS, "--output"]),
        ("data.csv", ["compare", "strategies", "data.csv", *COLUMNS, "--output"]),
        ("last.ckpt", ["predict", "--ckpt_path", "last.ckpt", OWN_DATA, "--output"]),
        ("last.ckpt", ["predict", "--ckpt_path=last.ckpt", OWN_DATA, "-o"]),
        ("data.csv", ["predict", "--ckpt_path", "last.ckpt", OWN_DATA, "-o"]),
        ("config.yaml", ["predict", "--config", "config.yaml", "--ckpt_path", "last.ckpt", "-o"]),
        ("model.yaml", ["predict", "--model=model.yaml", "--ckpt_path", "last.ckpt", OWN_DATA, "-o"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_an_output_that_is_read_is_refused(
    read: str, argv: list[str], how: str, folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output = {"same": read, "relative": f"../{folder.name}/{read}"}.get(how, "link.out")
    if how == "symbolic":
        Path(output).symlink_to(read)
    elif how == "hard":
        os.link(read, output)
    before = contents(folder)
    assert run(*argv, output) == 2
    error = capsys.readouterr().err
    assert f"{output}' is an input file and would be overwritten; give another name" in error
    assert len(error.splitlines()) <= 2
    assert contents(folder) == before

    assert run(*argv, "new.out", *(QUIET if argv[0] == "predict" else ["--seed", "-1"])) in (0, 2)
    assert "input file" not in capsys.readouterr().err  # the hint works


def test_the_data_of_a_checkpoint_are_read_too(
    folder: Path, trained: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(trained)
    assert run("predict", "--ckpt_path", "last.ckpt", "-o", trained / "data.csv") == 2
    assert "is an input file" in capsys.readouterr().err
    assert contents(trained) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--config=hparams.yaml", "--trainer.logger=CSVLogger"]
            + [f"--trainer.logger.{option}" for option in ("save_dir=.", "name=", "version=")],
            "--trainer.logger: CSVLogger's hparams.yaml: 'hparams.yaml' is an input file",
        ),
        (
            [
                "--config=config.yaml",
                "--data.path=gradient_norms.csv",
                "--trainer.logger=false",
                "--trainer.callbacks=GradientMonitor",
                "--trainer.callbacks.dirpath=.",
            ],
            "GradientMonitor's gradient_norms.csv: 'gradient_norms.csv' is an input file",
        ),
        (
            [
                "--config=config.yaml",
                "--trainer.logger=false",
                "--trainer.callbacks=ForecastWriter",
                "--trainer.callbacks.path=data.csv",
            ],
            "--trainer.callbacks: ForecastWriter: 'data.csv' is an input file",
        ),
    ],
)
def test_what_callbacks_and_loggers_write_is_not_read(
    options: list[str], message: str, folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("hparams.yaml").write_bytes(Path("config.yaml").read_bytes())
    Path("gradient_norms.csv").write_bytes(Path("data.csv").read_bytes())
    before = contents(folder)
    assert run("fit", *options, *QUIET, *ONE_STEP) == 2
    assert message in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:The dirpath has changed")
def test_fit_twice_in_one_folder(folder: Path, run: Run) -> None:
    """The configuration that is read is kept, as is that of the first run."""
    given = Path("config.yaml").read_bytes()
    for _ in range(2):
        assert run("fit", "--config", "config.yaml", "--trainer.logger=false", *QUIET, *ONE_STEP) == 0
    assert Path("config.yaml").read_bytes() == given
    names = ["config-v1.yaml", "config-v2.yaml", "config.yaml"]
    assert sorted(path.name for path in folder.glob("config*")) == names
    assert "hidden_size: 2" in Path("config-v1.yaml").read_text()
    assert len(list(Path("checkpoints").iterdir())) == 2


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_the_checkpoint_that_a_fit_goes_on_from_is_kept(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("last.ckpt").unlink()
    callback = ["--trainer.callbacks=ModelCheckpoint", f"--trainer.callbacks.dirpath={folder}"]
    callback += ["--trainer.callbacks.save_last=true", "--trainer.callbacks.save_top_k=0"]
    first = ["--config", "config.yaml", "--trainer.logger=false", *callback]
    assert run("fit", *first, *QUIET, *ONE_STEP) == 0
    before = Path("last.ckpt").read_bytes()
    resume = ["fit", "--config", "config.yaml", "--ckpt_path", "last.ckpt", *QUIET, "--trainer.logger=false"]
    resume += ["--trainer.max_epochs=2", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
    assert run(*resume, *callback) == 0
    assert Path("last.ckpt").read_bytes() == before
    steps = [torch.load(name, weights_only=True)["global_step"] for name in ("last.ckpt", "last-v1.ckpt")]
    assert steps[0] < steps[1]  # it went on

    assert run(*resume, *callback, "--trainer.callbacks.enable_version_counter=false") == 2
    assert "--ckpt_path: last.ckpt might be written over by ModelCheckpoint" in capsys.readouterr().err
    assert Path("last.ckpt").read_bytes() == before


def in_a_process(*argv: str, stdout: int | None = None, largest_file: int | None = None) -> tuple[int, str]:
    """Run ``seqlight``; return its exit code and what it says. No larger file can be written."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    environment = {**os.environ, "PYTHONPATH": str(Path(seqlight.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "seqlight", *argv],
        env=environment,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["predict", "--ckpt_path", "last.ckpt", OWN_DATA, *QUIET, "-o", "out.csv"],
        ["forecast", "data.csv", *COLUMNS, "--model", "naive", "-o", "out.csv", "--plot", "out.svg"],
    ],
    ids=["predict", "forecast"],
)
def test_a_full_disk_is_one_line_and_the_old_file_stays(argv: list[str], folder: Path) -> None:
    Path("out.csv").write_text("old")
    before = contents(folder)
    code, error = in_a_process(*argv, largest_file=100)
    assert code == 2
    (line,) = [line for line in error.splitlines() if "error" in line]
    assert line.startswith("seqlight: error: cannot write out.csv") and line.endswith("File too large")
    assert "Traceback" not in error
    assert contents(folder) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_standard_output_without_room_and_without_a_reader(folder: Path) -> None:
    with open("/dev/full", "w") as full:
        code, error = in_a_process("info", stdout=full.fileno())
    assert (code, error) == (2, "seqlight: error: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    code, error = in_a_process("info", stdout=writer)
    os.close(writer)
    assert (code, error) == (141, "")
