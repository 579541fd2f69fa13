"""What the measurement ran on: processor, threads, versions, memory allocator, and matrix-product speed."""

import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def describe_machine() -> dict[str, Any]:
    """Plain values that say where and with what a result was measured."""
    import seqlight

    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "onednn": torch.backends.mkldnn.is_available(),
        "seqlight": seqlight.__version__,
        "seqlight_build": _plain(seqlight.build_info()),
        "allocator": describe_allocator(),
        "flush_denormal": flushes_denormals(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def cpu_name() -> str:
    """The processor's own name where the system tells it, else what the platform module knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on, which in a container is often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_allocator() -> str:
    """The C allocator as the environment sets it up: it decides how often large buffers are mapped anew."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    preloaded = os.environ.get("LD_PRELOAD", "")
    if any(name in preloaded for name in ("jemalloc", "tcmalloc", "mimalloc")):
        return f"preloaded ({preloaded})"
    library = " ".join(platform.libc_ver()).strip()
    if not library.startswith("glibc"):
        return f"{library or sys.platform} default"
    if "glibc.malloc.mmap_max=0" in tunables or os.environ.get("MALLOC_MMAP_MAX_") == "0":
        return f"{library}, mmap off"
    if "glibc.malloc" in tunables or any(name.startswith("MALLOC_") for name in os.environ):
        return f"{library}, tuned by the environment"
    return f"{library} default"


def flushes_denormals() -> bool:
    """Whether torch arithmetic in this thread rounds denormals to zero (``torch.set_flush_denormal``)."""
    return bool((torch.tensor([1e-40]) * 1.0 == 0).item())


def matrix_product_gflops(*, threads: int, size: int = 768, seconds: float = 0.25) -> float:
    """Best observed speed of ``torch.mm`` on two [size, size] float32 matrices, in GFLOP/s.

    A product counts 2 size^3 operations.

    The best, not the median, because it stands for what the machine can do; the number of torch threads is
    restored afterwards.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = torch.rand(size, size), torch.rand(size, size)
        product = torch.empty(size, size)
        best, deadline, count = float("inf"), time.perf_counter() + seconds, 0
        while count < 3 or time.perf_counter() < deadline:
            begin = time.perf_counter()
            torch.mm(left, right, out=product)
            best, count = min(best, time.perf_counter() - begin), count + 1
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / best / 1e9


def _plain(value: Any) -> Any:
    """The same value in types that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
