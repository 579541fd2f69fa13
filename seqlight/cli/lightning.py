"""``seqlight fit | validate | test | predict``: LightningCLI with our models and data modules.

Sizes are written once, at the data, and linked to the model. ``validate``, ``test`` and ``predict`` need no
``--model`` where ``--ckpt_path`` is given: class and hyperparameters come out of the checkpoint, and
so do the data module's settings, which options and YAML may override.
"""

import warnings
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import MisconfigurationException

# Imported so that --model LSTMForecaster and --data CSVDataModule are found by their short names.
from seqlight import models
from seqlight.callbacks import ForecastWriter, ImputationWriter, LabelWriter
from seqlight.cli.checkpoint_data import data_of_checkpoint
from seqlight.cli.errors import CommandError, is_user_error
from seqlight.cli.lightning_files import KeepResumedCheckpoint, SaveConfig, files_read, files_written
from seqlight.cli.lightning_messages import (
    as_options,
    condense,
    missing_package,
    note_or_warning,
    raised_within,
)
from seqlight.cli.lightning_numbers import check_numbers
from seqlight.cli.outputs import check_not_read, check_output
from seqlight.data import CSVDataModule, ImputationDataModule, WindowDataModule
from seqlight.inputs import check_schema
from seqlight.models import LabelledSequenceModule

# What the data module has, and what the model's argument is called.
LINKED = (
    ("target_size", "target_size"),
    ("target_size", "input_size"),
    ("context_length", "context_length"),
    ("prediction_length", "prediction_length"),
    ("window_length", "window_length"),
    ("past_covariate_size", "past_covariate_size"),
    ("future_covariate_size", "future_covariate_size"),
    ("static_covariate_size", "static_covariate_size"),
    ("past_cardinalities", "past_cardinalities"),
    ("future_cardinalities", "future_cardinalities"),
    ("static_cardinalities", "static_cardinalities"),
    ("num_classes", "num_classes"),
    ("label_size", "label_size"),
    ("observed_indicator", "observed_indicator"),
    ("season_length", "season_length"),
)
# Of these, what must be as it was in training.
SIZES = (
    "target_size",
    "context_length",
    "prediction_length",
    "window_length",
    "covariate_size",
    "past_covariate_size",
    "future_covariate_size",
    "static_covariate_size",
    "num_classes",
)
MISSING_CHECKPOINT = "--ckpt_path is missing: which checkpoint? (Or name a --model that needs no training.)"


def fit(arguments: list[str]) -> None:
    """Run ``seqlight fit``."""
    run(FitCLI, arguments)


def validate(arguments: list[str]) -> None:
    """Run ``seqlight validate``."""
    run(ValidateCLI, arguments)


def test(arguments: list[str]) -> None:
    """Run ``seqlight test``."""
    run(TestCLI, arguments)


def predict(arguments: list[str]) -> None:
    """Run ``seqlight predict``."""
    run(PredictCLI, arguments)


def run(command: type["SeqlightCLI"], arguments: list[str]) -> None:
    """Run a command; what the Trainer refuses, and numbers that are not finite, are the user's to mend."""
    try:
        command(arguments)
    except models.NonFiniteError as error:
        raise CommandError(as_options(str(error))) from error
    except (MisconfigurationException, ValueError) as error:
        if is_user_error(error) or not raised_within(error, ("lightning",)):
            raise
        raise CommandError(condense(str(error).strip())) from error


def check_checkpoint_file(path: str) -> None:
    """Raise :class:`CommandError` unless the file is there."""
    if not Path(path).is_file():
        raise CommandError(f"--ckpt_path: there is no file {path!r}")


class ConciseParser(LightningArgumentParser):
    """Lightning's parser, but an error is a line or two instead of the usage of two hundred options."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise :class:`CommandError`; parsers that jsonargparse makes for itself go on as they do."""
        if not self.prog.startswith("seqlight"):
            super().error(message, ex)
        raise CommandError(condense(message)) from ex


class SeqlightCLI(LightningCLI):
    """One of Lightning's subcommands; the subclasses say which.

    Args:
        arguments: what follows the subcommand.

    Raises:
        CommandError: options that do not parse, or values that a model, data module or the Trainer refuses.
        seqlight.data.DataError: data that cannot be used; raised before the Trainer writes anything to disk.
    """

    command: ClassVar[str]
    model_required: ClassVar[bool] = False  # else it may be left to the checkpoint
    save_config: ClassVar[type[SaveConfigCallback] | None] = None
    defaults_of_trainer: ClassVar[dict[str, Any]] = {"logger": False}

    def __init__(self, arguments: list[str]) -> None:
        self.checkpoint: str | None = None
        self.inputs: list[Path] = []
        self.arguments = arguments
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
            # A forecaster is given an imputer's argument where the data are for imputers, and refused then.
            warnings.filterwarnings("ignore", message="covariate_size is now called", category=FutureWarning)
            # What Lightning itself calls of deprecated parts of torch and jsonargparse.
            warnings.filterwarnings("ignore", message=".*LeafSpec")
            warnings.filterwarnings(
                "ignore", category=DeprecationWarning, module=r"lightning\.|jsonargparse\."
            )
            warnings.showwarning = note_or_warning(warnings.showwarning)
            super().__init__(
                args=[self.command, *self.arguments_of_checkpoint(arguments), *arguments],
                parser_class=ConciseParser,
                parser_kwargs={
                    "prog": "seqlight",
                    "description": "Train and use models, by options or YAML.",
                },
                save_config_callback=self.save_config,
                trainer_defaults=self.defaults_of_trainer,
                seed_everything_default=0,
                # Checkpoints are to hold the plain arguments of __init__, not LightningCLI's record of them.
                load_from_checkpoint_support=False,
            )

    @classmethod
    def subcommands(cls) -> dict[str, set[str]]:
        """Only the subcommand of this class, with the arguments that Lightning is to leave out."""
        return {cls.command: LightningCLI.subcommands()[cls.command]}

    def arguments_of_checkpoint(self, arguments: list[str]) -> list[str]:
        """Arguments to put before the user's own: none, unless a checkpoint says what the data were."""
        return []

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add Trainer, model and data."""
        parser.add_lightning_class_args(Trainer, "trainer")
        parser.set_defaults({f"trainer.{name}": value for name, value in self.defaults_of_trainer.items()})
        parser.add_lightning_class_args(
            LightningModule, "model", subclass_mode=True, required=self.model_required
        )
        parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True, required=True)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link sizes from the data to the model; a model without such an argument does not get it."""
        for source, target in LINKED:
            parser.link_arguments(f"data.{source}", f"model.init_args.{target}", apply_on="instantiate")
        parser.link_arguments(
            "data",
            "model.init_args.schema",
            compute_fn=lambda data: data.schema() if callable(getattr(data, "schema", None)) else None,
            apply_on="instantiate",
        )
        # Windows to forecast have this name too, for a version: an alias, which the forecaster is not to get.
        parser.link_arguments(
            "data",
            "model.init_args.covariate_size",
            compute_fn=lambda data: data.covariate_size if isinstance(data, ImputationDataModule) else None,
            apply_on="instantiate",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and check that the checkpoint is there."""
        try:
            super().parse_arguments(parser, args)
        except CommandError as error:
            raise CommandError(f"{error}\n  see: seqlight {self.command} --help") from error
        config = self.config[self.command]
        # Lightning would put the checkpoint's hyperparameters into the model's configuration, where linked
        # sizes may not be; it gets the path back before the classes are made.
        self.checkpoint = config.pop("ckpt_path", None)
        if self.checkpoint is not None:
            check_checkpoint_file(self.checkpoint)
        settings = [self.checkpoint, config.get("data"), config.get("model")]
        self.inputs = files_read(self.arguments, settings)
        check_numbers(config)

    def after_instantiate_classes(self) -> None:
        """Check that nothing that is read is written over."""
        check_not_read(files_written(self.trainer), self.inputs)

    def before_instantiate_classes(self) -> None:
        """Give the path of the checkpoint back."""
        self.config[self.command]["ckpt_path"] = self.checkpoint

    def instantiate_classes(self) -> None:
        """Make data module, model and Trainer; what they refuse is the user's to mend."""
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, MisconfigurationException) as error:
            missing = missing_package(error)
            if missing is not None:
                raise CommandError(missing) from error
            # A class of the user's own keeps its traceback.
            if is_user_error(error) or not raised_within(error, ("seqlight", "lightning", "jsonargparse")):
                raise
            raise CommandError(condense(str(error))) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer, after the data were read: a bad file leaves no folder of logs behind."""
        check_forecasts(self.model)
        fills = isinstance(self.model, models.Imputer)
        known = isinstance(self.model, models.SeqlightModule) and isinstance(
            self.datamodule, WindowDataModule | ImputationDataModule
        )
        if known and fills != isinstance(self.datamodule, ImputationDataModule):
            raise CommandError(
                f"--data: {type(self.datamodule).__name__} has no windows for {type(self.model).__name__}; "
                f"use {'CSVImputationDataModule' if fills else 'CSVDataModule'}"
            )
        if isinstance(self.datamodule, WindowDataModule | ImputationDataModule):
            self.datamodule.setup(self.command)
        return super().instantiate_trainer(**kwargs)


class FitCLI(SeqlightCLI):
    """``seqlight fit``: trains, and writes checkpoints and ``config.yaml`` where Lightning does."""

    command = "fit"
    model_required = True
    save_config = SaveConfig
    defaults_of_trainer: ClassVar[dict[str, Any]] = {}

    def after_instantiate_classes(self) -> None:
        """Keep the checkpoint that is read."""
        super().after_instantiate_classes()
        self.trainer.callbacks.insert(0, KeepResumedCheckpoint())  # type: ignore[attr-defined]


class CheckpointCLI(SeqlightCLI):
    """A subcommand that uses a trained model."""

    def arguments_of_checkpoint(self, arguments: list[str]) -> list[str]:
        """Return ``--data`` with the settings of the training's data module, if the checkpoint has them."""
        path = option_value(arguments, "--ckpt_path")
        if path is None:
            named = ("--model", "--config", "-c", "--help", "-h", "--print_config")
            if not any(argument.partition("=")[0].partition(".")[0] in named for argument in arguments):
                raise CommandError(MISSING_CHECKPOINT)
            return []
        check_checkpoint_file(path)
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:
            self.load(path)  # says what is wrong with it
            return []
        options = {argument.partition("=")[0] for argument in arguments}
        return data_of_checkpoint(checkpoint, named=not options.isdisjoint(("--data", "--config", "-c")))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Take the model from the checkpoint if none was named, and check that the data fit it."""
        if self.model is None:
            if self.checkpoint is None:
                raise CommandError(MISSING_CHECKPOINT)
            self.model = self.load(self.checkpoint)
            self.config_init[self.command]["ckpt_path"] = None  # loaded
            schema = getattr(self.model, "schema", None)
            if schema is not None and isinstance(self.datamodule, CSVDataModule):
                self.datamodule.use_schema(schema)
                try:
                    check_schema(schema, self.datamodule.schema())
                except ValueError as error:
                    raise CommandError(f"--data: {error}") from error
            self.check_sizes(self.model)
        return super().instantiate_trainer(**kwargs)

    @staticmethod
    def load(path: str) -> models.SeqlightModule:
        """Load a model; raises :class:`CommandError` for what is none."""
        try:
            return models.load(path)
        except (ImportError, ValueError) as error:
            raise CommandError(f"--ckpt_path: {error}") from error

    def check_sizes(self, model: models.SeqlightModule) -> None:
        """Raise :class:`CommandError` where the data give other windows than the model was trained on."""
        for source, target in (*LINKED, ("covariate_size", "covariate_size")):
            if source not in SIZES or target not in model.hparams:
                continue
            trained, given = model.hparams[target], getattr(self.datamodule, source, None)
            if given is not None and given != trained:
                raise CommandError(
                    f"the checkpoint's model has {target} {trained}, the data give {given}; "
                    "set the data module's options as they were in training"
                )


class ValidateCLI(CheckpointCLI):
    """``seqlight validate``."""

    command = "validate"


class TestCLI(CheckpointCLI):
    """``seqlight test``."""

    command = "test"
    __test__ = False  # for pytest


class PredictCLI(CheckpointCLI):
    """``seqlight predict``: writes the forecast of the time after each series' last row."""

    command = "predict"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--output``."""
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "-o",
            "--output",
            type=str,
            default="forecast.csv",
            help="the CSV to write (default: forecast.csv)",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; the output must be writable, and nothing that is read."""
        super().parse_arguments(parser, args)
        output = Path(self.config[self.command].output)
        check_output(output, "--output")
        check_not_read({"--output": output}, self.inputs)

    def after_instantiate_classes(self) -> None:
        """Add the callback that writes the CSV."""
        super().after_instantiate_classes()
        writer: type[ForecastWriter | LabelWriter | ImputationWriter] = ForecastWriter
        if isinstance(self.model, LabelledSequenceModule):
            writer = LabelWriter
        elif isinstance(self.model, models.Imputer):
            writer = ImputationWriter
        self.trainer.callbacks.append(writer(self.config[self.command].output))  # type: ignore[attr-defined]

    def after_predict(self) -> None:
        """Say where the forecast is, and where it begins."""
        if self.trainer.is_global_zero:
            if isinstance(self.datamodule, CSVDataModule):
                print(as_options(self.datamodule.origin_note()))
            print(f"wrote {self.config[self.command].output}")


def check_forecasts(model: LightningModule) -> None:
    """Raise :class:`CommandError` for a base class, which leaves to subclasses how to forecast."""
    for base, hook in ((models.WindowForecaster, "forecast"), (models.BaselineForecaster, "decode")):
        if isinstance(model, base) and getattr(type(model), hook) is getattr(base, hook):
            raise CommandError(
                f"--model: {type(model).__name__} has no {hook}(), it is a base class; name a ready one, "
                "such as NaiveForecaster"
            )


def option_value(arguments: list[str], option: str) -> str | None:
    """The value of ``--option value`` or ``--option=value``, the last one given; None if there is none."""
    value = None
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            value = arguments[position + 1]
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
    return value
