"""Embeddings of columns of categories."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PRODUCT_SIZE = 32


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
        parts = [_vectors(table, codes[..., column]) for column, table in enumerate(self.tables)]
        return torch.cat(parts, dim=-1)


def _vectors(table: nn.Module, codes: Tensor) -> Tensor:
    """Return the vectors of codes ``[...]``: of few values by a product, whose gradient is one too.

    The gradient of a look-up adds up row by row, at several times the cost.
    """
    weight = table.weight
    if not isinstance(weight, Tensor) or len(weight) > PRODUCT_SIZE:
        vectors: Tensor = table(codes)
        return vectors
    chosen = codes.unsqueeze(-1) == torch.arange(len(weight), device=codes.device)
    return chosen.to(weight.dtype) @ weight
