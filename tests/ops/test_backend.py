"""The choice between native kernel and reference: per call, by context, by device, across threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from seqlight import _extension
from seqlight.ops import backend as backend_module
from seqlight.ops import lstm, use_backend

Arguments = Callable[..., list[Tensor]]


def test_choice_per_call_and_by_context(native_calls: object, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(2, 3, 2, 4)

    def kernel_ran(**options: str) -> bool:
        with native_calls as calls:
            lstm(*tensors, **options)
        assert calls.total in (0, 1)
        return calls.total == 1

    assert kernel_ran()
    assert kernel_ran(backend="native")
    assert not kernel_ran(backend="reference")
    with use_backend("reference"):
        assert not kernel_ran()
        assert kernel_ran(backend="native")
        with use_backend("native"):
            assert kernel_ran()
        with use_backend("auto"):
            assert kernel_ran()
        assert not kernel_ran()
    assert kernel_ran()


def test_context_is_left_on_errors_and_reusable() -> None:
    context = use_backend("reference")
    for _ in range(2):
        with pytest.raises(KeyError), context, context:
            raise KeyError
        assert backend_module._backend.get() == "auto"
        assert backend_module._backend_when_traced == "auto"


def test_context_holds_for_its_own_thread(native_calls: object, lstm_arguments: Arguments) -> None:
    tensors = lstm_arguments(2, 3, 2, 4)
    with ThreadPoolExecutor(1) as other, native_calls as calls, use_backend("reference"):
        lstm(*tensors)
        other.submit(lstm, *tensors).result()
    assert calls.total == 1


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="backend expected 'auto', 'native' or 'reference', got 'cudnn'"):
        use_backend("cudnn")


def test_native_says_why_it_cannot_run_on_a_device(native: object, lstm_arguments: Arguments) -> None:
    tensors = [tensor.to("meta") for tensor in lstm_arguments(2, 3, 2, 4)]
    message = (
        r"lstm: backend='native' cannot run: this build has kernels for cpu.*, and the tensors are on meta"
    )
    with pytest.raises(RuntimeError, match=message):
        lstm(*tensors, backend="native")
    with pytest.raises(RuntimeError, match=message), use_backend("native"):
        lstm(*tensors)
    assert lstm(*tensors)[0].shape == (2, 3, 4)  # "auto" falls back


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch, lstm_arguments: Arguments) -> None:
    monkeypatch.setattr(_extension, "available", False)
    monkeypatch.setattr(
        _extension, "build_info", lambda: {"native": False, "reason": "no compiler was found"}
    )
    monkeypatch.setattr(backend_module, "_native_ops", {})
    tensors = lstm_arguments(2, 3, 2, 4)
    expected = lstm(*tensors, backend="reference")
    for ours, exact in zip(lstm(*tensors), expected, strict=True):
        assert torch.equal(ours, exact)
    with pytest.raises(
        RuntimeError, match=r"the extension is not available \(no compiler was found\); use backend="
    ):
        lstm(*tensors, backend="native")
