"""Through the layer, in every dtype and mode, the native kernels run and no fallback: they count."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from seqlight.nn import LSTM

pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

NUM_LAYERS = 2


def counted(native: ModuleType, work: Callable[[], Tensor]) -> dict[str, int]:
    before = native.call_counts()
    work()
    return {
        name: n - before.get(name, 0) for name, n in native.call_counts().items() if n > before.get(name, 0)
    }


def expected(name: str) -> dict[str, int]:
    return {f"lstm_forward.{name}": NUM_LAYERS, f"lstm_backward.{name}": NUM_LAYERS}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_true_precision(native: ModuleType, dtype: torch.dtype, compiled: bool) -> None:
    torch._dynamo.reset()
    layer = LSTM(3, 7, NUM_LAYERS, peephole=True, dtype=dtype)
    run = torch.compile(layer, fullgraph=True, backend="aot_eager") if compiled else layer
    x = torch.randn(4, 6, 3, dtype=dtype)

    def work() -> None:
        output, (h, c) = run(x)
        assert output.dtype == h.dtype == c.dtype == dtype
        output.sum().backward()

    assert counted(native, work) == expected("float64" if dtype == torch.float64 else "float32")
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(native: ModuleType, dtype: torch.dtype, compiled: bool) -> None:
    torch._dynamo.reset()
    layer = LSTM(3, 7, NUM_LAYERS, peephole=True)
    run = torch.compile(layer, fullgraph=True, backend="aot_eager") if compiled else layer
    x = torch.randn(4, 6, 3)

    def work() -> None:
        with torch.autocast("cpu", dtype):
            output, (h, c) = run(x)
        assert output.dtype == h.dtype == c.dtype == dtype
        output.float().sum().backward()

    assert counted(native, work) == expected("float32")
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in layer.parameters())


def test_layer_compiles_once_for_all_later_sizes_and_exports(native: ModuleType) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    layer = LSTM(3, 7, NUM_LAYERS, peephole=True, bidirectional=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    graphs = []
    for batch_size, steps in ((4, 5), (6, 7), (3, 9), (8, 2)):
        x = torch.randn(batch_size, steps, 3)
        output, (h, c) = compiled(x)
        torch.testing.assert_close((output, (h, c)), layer(x), rtol=0, atol=1e-6)
        (output.sum() + c.sum()).backward()
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert graphs == [1, 2, 2, 2]

    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    program = torch.export.export(layer, (torch.randn(4, 5, 3),), dynamic_shapes={"x": dims})
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        exported, expected_results = program.module()(x), layer(x)
    torch.testing.assert_close(exported, expected_results, rtol=0, atol=0)
