"""The native extension, without which these tests fail, and random arguments for the recurrent ops."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqlight import _extension, ops
from seqlight.ops import reference


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """``seqlight._C``. Without it the tests of the kernels fail: they must not pass on the fallback."""
    if _extension.extension is None:
        reason = _extension.build_info()["reason"]
        if os.environ.get("SEQLIGHT_BUILD") == "0":
            pytest.skip(f"NATIVE KERNELS UNTESTED: SEQLIGHT_BUILD=0, and {reason}")
        pytest.fail(f"the extension is missing: {reason}. SEQLIGHT_BUILD=0 skips the tests of the kernels")
    return _extension.extension


@pytest.fixture(scope="session")
def lstm_arguments() -> Callable[..., list[Tensor]]:
    """``lstm_arguments(B, T, I, H)``: the op's eight tensors, from x to weight_peephole."""

    def draw(
        batch_size: int,
        steps: int,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
        seed: int = 0,
    ) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        scale = hidden_size**-0.5
        shapes_and_scales = (
            ((batch_size, steps, input_size), 1.0),
            ((batch_size, hidden_size), 1.0),
            ((batch_size, hidden_size), 1.0),
            ((4 * hidden_size, input_size), scale),
            ((4 * hidden_size, hidden_size), scale),
            ((4 * hidden_size,), scale),
            ((4 * hidden_size,), scale),
            ((3, hidden_size), scale),
        )
        return [
            (scale * torch.randn(shape, generator=generator, dtype=torch.float64))
            .to(dtype)
            .requires_grad_(requires_grad)
            for shape, scale in shapes_and_scales
        ]

    return draw


@dataclass(frozen=True)
class Cell:
    """An op whose state is the hidden state alone, its reference and its twin in torch.nn."""

    op: str  # its name
    gate_count: int
    peer: type[nn.RNNBase]
    options: dict[str, str] = field(default_factory=dict)

    names = ("x", "h0", "weight_ih", "weight_hh", "bias_ih", "bias_hh")

    def __str__(self) -> str:
        return " ".join((self.op, *self.options.values()))

    def __call__(self, *tensors: Tensor | None, **options: Any) -> tuple[Tensor, Tensor]:
        return getattr(ops, self.op)(*tensors, **self.options, **options)

    def reference(self, *tensors: Tensor | None, **options: Any) -> tuple[Tensor, Tensor]:
        return getattr(reference, self.op)(*tensors, **self.options, **options)

    def private_op(self, direction: str) -> Any:
        """``torch.ops.seqlight.<op>_forward`` or ``_backward``."""
        return getattr(torch.ops.seqlight, f"{self.op}_{direction}").default

    @property
    def flags(self) -> tuple[bool, ...]:
        """The options as the private ops take them, before ``reverse``."""
        return (self.options["nonlinearity"] == "relu",) if self.options else ()

    def arguments(
        self,
        batch_size: int,
        steps: int,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
        seed: int = 0,
    ) -> list[Tensor]:
        """The op's six tensors, from x to bias_hh."""
        generator = torch.Generator().manual_seed(seed)
        rows, scale = self.gate_count * hidden_size, hidden_size**-0.5
        shapes_and_scales = (
            ((batch_size, steps, input_size), 1.0),
            ((batch_size, hidden_size), 1.0),
            ((rows, input_size), scale),
            ((rows, hidden_size), scale),
            ((rows,), scale),
            ((rows,), scale),
        )
        return [
            (scale * torch.randn(shape, generator=generator, dtype=torch.float64))
            .to(dtype)
            .requires_grad_(requires_grad)
            for shape, scale in shapes_and_scales
        ]


@pytest.fixture(
    scope="session",
    params=[
        Cell("gru", 3, nn.GRU),
        Cell("rnn", 1, nn.RNN, {"nonlinearity": "tanh"}),
        Cell("rnn", 1, nn.RNN, {"nonlinearity": "relu"}),
    ],
    ids=str,
)
def cell(request: pytest.FixtureRequest) -> Cell:
    """Each cell whose state is the hidden state alone."""
    return request.param


class Calls:
    """How often each native kernel ran inside the block: ``calls["lstm_forward.float32"]``."""

    def __init__(self, extension: ModuleType) -> None:
        self.extension = extension

    def __enter__(self) -> "Calls":
        self.before = self.extension.call_counts()
        return self

    def __exit__(self, *_: object) -> None:
        after = self.extension.call_counts()
        self.counts = {name: count - self.before.get(name, 0) for name, count in after.items()}

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@pytest.fixture
def native_calls(native: ModuleType) -> Calls:
    """``with native_calls as calls: ...; calls["lstm_forward.float32"]``."""
    return Calls(native)
