"""Two processes train a model by DistributedDataParallel; prints the layer's class and parameters."""

import json
import sys

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from seqlight.nn import fuse


def trained(rank: int, when: str) -> tuple[str, list[float]]:
    torch.manual_seed(0)
    layer = nn.LSTM(3, 5, 2, batch_first=True).double()
    if when == "before":
        fuse(layer)
    model = DistributedDataParallel(layer)
    if when == "after":
        fuse(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(2, 4, 6, 3, dtype=torch.float64)[rank]
    for _step in range(5):
        optimizer.zero_grad()
        model(x)[0].square().mean().backward()
        optimizer.step()
    return type(layer).__name__, torch.cat([part.flatten() for part in model.parameters()]).tolist()


def run(rank: int, port: int) -> None:
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = {when: trained(rank, when) for when in ("never", "before", "after")}
    if rank == 0:
        print(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    # Processes that are forked need not import everything anew.
    multiprocessing.start_processes(run, (int(sys.argv[1]),), nprocs=2, start_method="fork")
