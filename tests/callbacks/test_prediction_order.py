"""What several processes predict is written in the order in which one process has it."""

import pytest
import torch

from seqlight.callbacks.prediction_writer import in_order
from seqlight.data.windows.window_loader import WindowSampler


@pytest.mark.parametrize("windows", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_every_window_once_and_in_order(windows, processes, batch_size):
    gathered = []
    for rank in range(processes):
        order = WindowSampler(range(windows), num_replicas=processes, rank=rank, even=False).order()
        gathered.append(
            [{"prediction": part[:, None] * 10.0, "start": part} for part in order.split(batch_size)]
        )
    (merged,) = in_order(gathered, windows)
    assert merged["start"].tolist() == list(range(windows))
    assert merged["prediction"].flatten().tolist() == [10.0 * window for window in range(windows)]


def test_without_any_batch_there_is_none():
    assert in_order([[], []]) == []


@pytest.mark.parametrize("windows", [1, 5, 12, 13])
@pytest.mark.parametrize("processes", [2, 3, 5])
def test_training_repeats_fewer_windows_than_there_are_processes(windows, processes):
    shares = [
        WindowSampler(range(windows), num_replicas=processes, rank=rank, shuffle=True).order()
        for rank in range(processes)
    ]
    taken = torch.cat(shares)
    assert set(taken.tolist()) == set(range(windows))
    assert len({len(share) for share in shares}) == 1
    assert len(taken) - windows < processes
