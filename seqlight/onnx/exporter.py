"""From a module to an ONNX file."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from seqlight.nn import Recurrent
from seqlight.onnx.decompositions import decompositions
from seqlight.onnx.names import input_names, name_axes, name_bodies, output_names
from seqlight.ops.backend import reference_is_chosen, use_backend, why_not_native

_PACKAGES = ("onnx", "onnxscript")


def export(
    module: nn.Module,
    path: str | os.PathLike[str],
    example_inputs: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] | None = None,
) -> None:
    """Write `module`, in evaluation mode, to an ONNX file that computes what its ``forward`` does.

    Every size is dynamic that the module leaves open: the batch always, the length for layers, classifiers
    and imputers. A forecaster's is its ``context_length``. The number of nodes does not depend on lengths,
    except for forecasters that feed their forecasts back (the strategies recursive and encoder-decoder),
    which run the network once for each of their ``prediction_length`` steps.

    The file's inputs have the names of the arguments, its outputs those of `outputs`; a state of several
    tensors becomes several, ``state_0``, ``state_1``. A missing cell is NaN, as in PyTorch.

    Args:
        module: a layer of :mod:`seqlight.nn`, a model of :mod:`seqlight.models` or a module of your own; on
            the CPU, in float32.
        path: of the file.
        example_inputs: keyword arguments of ``forward``: tensors, or tuples and dicts of them, with at least
            2 rows and 2 time steps; which values they hold is all the same. Only what is given becomes an
            input, so give ``state`` or ``lengths`` for a file that takes them. None asks the module's
            ``example_inputs``, as all of :mod:`seqlight.models` have it.
        outputs: names of the outputs; None for ``output`` and, where ``forward`` returns a pair,
            ``new_state``.

    Raises:
        ImportError: a package is missing; ``pip install seqlight[onnx]``.
        TypeError: the module is no ``torch.nn.Module``, or not in float32.
        ValueError: the module has no form in ONNX, is in training mode or not on the CPU, the example inputs
            or the outputs' names do not fit, or the batch came out constant.
        RuntimeError: a recurrent layer without the native extension, whose loop over time would be unrolled;
            or something inside has no translation to ONNX.

    Example:
        >>> layer = seqlight.nn.GRU(3, 20).eval()
        >>> seqlight.onnx.export(layer, "gru.onnx", {"x": torch.zeros(2, 10, 3)})
        >>> session = onnxruntime.InferenceSession("gru.onnx")
        >>> output, state = session.run(None, {"x": numpy.zeros((5, 70, 3), "float32")})
    """
    _check_packages()
    _check_module(module)
    inputs = _inputs(module, example_inputs)
    program = _traced(module, inputs)
    names = output_names(program)
    if outputs is not None:
        if len(outputs) != len(names):
            raise ValueError(
                f"outputs: expected {len(names)} names, one for each tensor that {type(module).__name__} "
                f"returns ({', '.join(names)}), got {list(outputs)}"
            )
        names = list(outputs)
    _write(program, type(module).__name__, path, input_names(inputs), names)


def _check_packages() -> None:
    for package in _PACKAGES:
        try:
            __import__(package)
        except ImportError as error:
            raise ImportError(
                f"export to ONNX needs the package {package!r}: pip install 'seqlight[onnx]'"
            ) from error


def _check_module(module: nn.Module) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    name = type(module).__name__
    obstacle = getattr(module, "onnx_obstacle", None)
    if obstacle is not None:
        raise ValueError(f"module: {name} has no form in ONNX: {obstacle}")
    training = [path for path, part in module.named_modules() if part.training and not _is_metric(part)]
    if training:
        where = f"its part {training[0]!r}" if training[0] else "it"
        raise ValueError(
            f"module: {name} expected in evaluation mode, but {where} is in training mode, whose dropout and "
            "zoneout draw random numbers; call module.eval() first"
        )
    for path, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.device.type != "cpu":
            raise ValueError(
                f"module: {name} expected on the CPU, but {path} is on {tensor.device}; use module.cpu()"
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise TypeError(
                f"module: {name} expected in float32, for which all ONNX runtimes have kernels, but {path} "
                f"is {tensor.dtype}; use module.float()"
            )
    recurrent = [part for part in module.modules() if isinstance(part, Recurrent)]
    if recurrent:
        reason = why_not_native(recurrent[0].native_cell.name, torch.device("cpu"), torch.float32)
        if reason is None and reference_is_chosen():
            reason = "use_backend('reference') is in force"
        if reason is not None:
            raise RuntimeError(
                f"module: {name} holds {type(recurrent[0]).__name__} layers, whose loop over time becomes "
                f"one ONNX node only through the native operators, and {reason}; without them it would be "
                "unrolled. Export where seqlight was built with a C++ compiler (seqlight.build_info() tells)"
            )


def _is_metric(part: nn.Module) -> bool:
    """Say whether `part` is one of torchmetrics, which stay in training mode and are not exported."""
    return type(part).__module__.split(".")[0] == "torchmetrics" or hasattr(part, "compute")


def _inputs(module: nn.Module, example_inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the example inputs: the caller's, or the module's own with two rows or more."""
    name = type(module).__name__
    if example_inputs is None:
        make = getattr(module, "example_inputs", None)
        if make is None:
            raise ValueError(
                f"example_inputs: needed, for {name} has no method example_inputs; give keyword arguments of "
                "its forward, such as {'x': torch.zeros(2, 10, 3)} for x [B, T, C] with C = 3"
            )
        example_inputs = make(3)
    if not isinstance(example_inputs, Mapping):
        raise TypeError(
            "example_inputs: expected a dict of keyword arguments of forward, such as "
            f"{{'x': torch.zeros(2, 10, 3)}}, got {type(example_inputs).__name__}"
        )
    inputs = {key: value for key, value in example_inputs.items() if value is not None}
    leaves = pytree.tree_leaves(inputs)
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        kinds = ", ".join(sorted({type(leaf).__name__ for leaf in leaves})) or "nothing"
        raise TypeError(f"example_inputs: expected tensors, or tuples and dicts of them, got {kinds}")
    return inputs


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporter says about its own parts, and about torchvision's."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _traced(module: nn.Module, inputs: dict[str, Any]) -> ExportedProgram:
    """Trace the module, with every size dynamic that can be."""

    def dynamic(tensor: Tensor) -> dict[int, Any]:
        # torch takes a size of 1 for a constant, and would warn.
        return {axis: Dim.AUTO for axis, size in enumerate(tensor.shape) if size != 1}

    every_size = pytree.tree_map(dynamic, inputs)
    with torch.no_grad(), _quiet(), use_backend("auto"):
        program = torch.export.export(module, (), kwargs=inputs, dynamic_shapes=every_size, strict=False)
        program = program.run_decompositions(decompositions())
    first = next(node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    batch = first.meta["val"].shape[0] if first.meta["val"].dim() else 1
    if str(batch).isdigit():
        raise ValueError(
            f"example_inputs: the first axis of {next(iter(inputs))!r}, the batch, came out as the constant "
            f"{batch}; give at least 2 rows, and see that forward does not depend on "
            "their number"
        )
    return program


def _write(
    program: ExportedProgram,
    name: str,
    path: str | os.PathLike[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Translate the traced program, fold what is constant, name what is visible, save and check."""
    import onnx
    from onnxscript import optimizer

    from seqlight.onnx import counts, recurrent
    from seqlight.onnx.cumulative_maximum import cummax

    try:
        with _quiet():
            exported = torch.onnx.export(
                program,
                input_names=inputs,
                output_names=outputs,
                custom_translation_table=recurrent.translations()
                | counts.translations()
                | {torch.ops.aten.cummax.default: cummax},
                optimize=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise RuntimeError(f"module: {name} has no translation to ONNX: {_first_cause(error)}") from error
    assert exported is not None, "torch.onnx.export returns a program unless it is told to trace"
    model = exported.model
    # Before, since the optimiser infers shapes by name, and after, for what it added; by another word, since
    # constants that it moved out of a body keep their names.
    name_bodies(model.graph, "body")
    # Weights were reordered by nodes; the file is to hold the results, however large.
    optimizer.optimize_ir(model, should_fold=_fold_weights)
    name_bodies(model.graph, "step")
    name_axes(model.graph)
    exported.save(path)
    onnx.checker.check_model(path, full_check=True)


def _fold_weights(node: Any) -> bool | None:
    """Fold a node of constants alone, whatever its size; leave other nodes to the optimiser's own rule."""
    if node.op_type in ("Gather", "Unsqueeze", "Concat", "Transpose", "Reshape", "Squeeze") and all(
        value is not None and value.const_value is not None for value in node.inputs
    ):
        return True
    return None


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split("\n")[0]
