"""Times of work on a GPU by its own clock, and what the device can do at most."""

import statistics
import time
from collections.abc import Callable

import torch

Work = Callable[[], object]

#: Work up to so many milliseconds is captured in a CUDA graph: replaying it costs no time of the host.
GRAPH_LIMIT = 60.0
WARMUP_CALLS = 3


def captured(work: Work) -> Work | None:
    """The replay of a graph of `work`, or None where it cannot be captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP_CALLS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            work()
    except Exception:  # whatever an implementation does that no graph may hold
        torch.cuda.synchronize()
        return None
    return graph.replay


def median_milliseconds(work: Work, device: torch.device, *, seconds: float = 0.4) -> float:
    """The median time of a call over some `seconds`, five calls at least."""
    for _ in range(WARMUP_CALLS):
        work()
    times = [_time(work, device)]
    count = max(4, min(200, int(seconds * 1e3 / max(times[0], 1e-3))))
    times += [_time(work, device) for _ in range(count)]
    return statistics.median(times)


def _time(work: Work, device: torch.device) -> float:
    if device.type != "cuda":
        begin = time.perf_counter()
        work()
        return (time.perf_counter() - begin) * 1e3
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    work()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last))


class Ceilings:
    """Measured limits of a device.

    Args:
        device: whose.
        size: rows and columns of the matrices that are multiplied.
        bytes_copied: size of the memory that is copied.
    """

    def __init__(self, device: torch.device, *, size: int = 8192, bytes_copied: int = 2**30) -> None:
        source = torch.ones(bytes_copied // 4, device=device)
        target = torch.empty_like(source)
        milliseconds = median_milliseconds(lambda: target.copy_(source), device)
        #: bytes a second, read and written
        self.bandwidth = 2 * bytes_copied / milliseconds * 1e3
        #: operations a second of torch.mm, by dtype
        self.operations: dict[str, float] = {}
        for dtype in ("float32", "tf32", "bfloat16"):
            with products_in(dtype):
                left, right = (
                    torch.randn(size, size, device=device).to(torch_dtype(dtype)) for _ in range(2)
                )
                milliseconds = median_milliseconds(lambda a=left, b=right: torch.mm(a, b), device)
            self.operations[dtype] = 2 * size**3 / milliseconds * 1e3

    def floor_milliseconds(self, dtype: str, operations: float, moved: float) -> float:
        """The least time for so many operations and so many bytes moved."""
        return 1e3 * max(operations / self.operations[dtype], moved / self.bandwidth)


def torch_dtype(dtype: str) -> torch.dtype:
    """The dtype of the tensors: "tf32" is float32 too."""
    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


class products_in:
    """Context manager: products of float32 numbers by TF32 where `dtype` is "tf32", and else not."""

    def __init__(self, dtype: str) -> None:
        self.allowed = dtype == "tf32"

    def __enter__(self) -> None:
        self.before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        self._set(self.allowed, self.allowed)

    def __exit__(self, *_: object) -> None:
        self._set(*self.before)

    @staticmethod
    def _set(matmul: bool, cudnn: bool) -> None:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn
