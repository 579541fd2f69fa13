"""torch.vmap for ops without a batched form: one call per sample."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def register_vmap_loop(name: str, op: Callable[..., tuple[Tensor, ...]]) -> None:
    """Let torch.vmap run the op ``name`` (``"seqlight::lstm_forward"``) by calling it once per sample.

    The op takes tensors of any strides, None and plain values, and returns a tuple of tensors.
    """

    def run_each(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        def of_sample(index: int) -> list[Any]:
            return [
                argument if dim is None else argument.select(dim, index)
                for argument, dim in zip(arguments, in_dims, strict=True)
            ]

        results = [op(*of_sample(index)) for index in range(info.batch_size)]
        stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return stacked, (0,) * len(stacked)

    torch.library.register_vmap(name, run_each)
