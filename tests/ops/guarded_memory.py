"""Tensors in memory that ends, or begins, at a page that nobody may touch: a read past it is a crash."""

import ctypes
import mmap

import torch
from torch import Tensor

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0


def _protect(address: int, size: int) -> None:
    if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), _PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")


def guarded(numbers: Tensor, *, at_end: bool) -> Tensor:
    """Copy contiguous `numbers` to memory of their own between two forbidden pages, close to one of them."""
    size = numbers.numel() * numbers.element_size()
    if size == 0:
        return torch.empty_like(numbers)
    pages = -(-size // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _protect(address, PAGE)
    _protect(address + (pages + 1) * PAGE, PAGE)
    offset = PAGE + (pages * PAGE - size if at_end else 0)
    tensor = torch.frombuffer(memory, dtype=numbers.dtype, count=numbers.numel(), offset=offset)
    return tensor.copy_(numbers.flatten()).view(numbers.shape)


def guarded_as(tensor: Tensor, strides: tuple[int, ...]) -> Tensor:
    """Copy `tensor` into guarded memory with other strides, which end where its last number does."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True))
    view = guarded(torch.full((span,), 77, dtype=tensor.dtype), at_end=True).as_strided(tensor.shape, strides)
    return view.copy_(tensor)
