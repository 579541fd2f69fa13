"""What training may know of categories: those of its own rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqlight.data.store.covariates import Codes

Vocabulary = list[str]


def vocabularies(codes: Codes, rows: NDArray[np.bool_]) -> list[Vocabulary]:
    """Return the texts of each column that ``rows`` hold, sorted."""
    found = []
    for column, labels in enumerate(codes.labels):
        seen = np.zeros(len(labels) + 1, np.bool_)
        seen[codes.values[:, column][rows]] = True  # the last one is that of a missing cell
        found.append([label for label, known in zip(labels, seen[:-1], strict=True) if known])
    return found


def numbers_of_codes(codes: Codes, known: Sequence[Vocabulary]) -> list[NDArray[np.int64]]:
    """Return for each column, code and, last, a missing cell: 1 and on, 0 for what is not known."""
    numbers = []
    for labels, vocabulary in zip(codes.labels, known, strict=True):
        place = {label: number for number, label in enumerate(vocabulary, start=1)}
        numbers.append(np.array([*(place.get(label, 0) for label in labels), 0], np.int64))
    return numbers
