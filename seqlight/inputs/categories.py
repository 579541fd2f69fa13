"""Embeddings of columns of categories."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def embedding_size(cardinality: int) -> int:
    """Return the width of an embedding: 2 for two values, 9 for twenty, at most 50."""
    return min(50, round(1.6 * (cardinality + 1) ** 0.56))


class CategoryEmbeddings(nn.Module):
    """A learned vector for each value of each column, and one for all values that training never saw.

    Codes are 1 to n for the n values that the training part has, 0 for any other. In training no cell has
    the code 0, so ``dropout`` of the cells are given it there: the vector of the unknown value becomes that
    of an average one, with which the network has learned to do.

    Args:
        cardinalities: the number n of known values of each column.
        dropout: probability of taking a cell for an unknown value in training.
        one_hot: begin with one channel for each known value, and zeros for the unknown one, which a linear
            model can be solved on exactly; nothing is dropped then.

    """

    def __init__(self, cardinalities: Sequence[int], *, dropout: float = 0.05, one_hot: bool = False) -> None:
        super().__init__()
        widths = [n if one_hot else embedding_size(n) for n in cardinalities]
        tables = [nn.Embedding(n + 1, width) for n, width in zip(cardinalities, widths, strict=True)]
        self.output_size = sum(widths)
        self.dropout = 0.0 if one_hot else dropout
        if one_hot:
            for table in tables:
                with torch.no_grad():
                    table.weight.copy_(torch.eye(table.num_embeddings)[:, 1:])
                table.weight.requires_grad_(False)
        self.tables = nn.ModuleList(tables)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the vectors ``[..., output_size]`` of int64 codes ``[..., columns]``."""
        if self.training and self.dropout > 0:
            unknown = torch.rand(codes.shape, device=codes.device) < self.dropout
            codes = codes.masked_fill(unknown, 0)
        parts = [table(codes[..., column]) for column, table in enumerate(self.tables)]
        return torch.cat(parts, dim=-1)
