"""Which series a row of a batch is, whatever data it comes from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SeriesRows(nn.Module):
    """Finds the series that a model was made for again in the series of other data, by their ids.

    Batches number series as their data do. Until :meth:`use` has been told the ids of these data, the numbers
    are taken for those of the series that the model was made for.

    Args:
        ids: names of the S series that the model was made for.

    Raises:
        ValueError: a name comes twice.

    """

    rows: Tensor

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = [str(one) for one in ids]
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("series_ids: expected each name once")
        # Not saved: other data number their series in another way. The last entry is that of all others.
        self.register_buffer("rows", torch.arange(len(self.ids) + 1), persistent=False)

    def __len__(self) -> int:
        """Return the number S of series that the model was made for."""
        return len(self.ids)

    def use(self, ids: Sequence[str]) -> None:
        """Take the numbers of batches from now on for positions in ``ids``."""
        own = {name: row for row, name in enumerate(self.ids)}
        found = [own.get(str(name), len(self.ids)) for name in ids]
        self.rows = torch.tensor([*found, len(self.ids)], device=self.rows.device)

    def forward(self, series_index: Tensor) -> Tensor:
        """Return the series ``[B]``, 0 to S - 1, and S for those that the model was not made for.

        Args:
            series_index: int64 ``[B]``, as in batches.

        """
        last = self.rows.shape[0] - 1
        inside = (series_index >= 0) & (series_index < last)
        return self.rows[torch.where(inside, series_index, last)]

    def extra_repr(self) -> str:  # noqa: D102
        return f"{len(self.ids)} series"
