"""Every CUDA operator once on small sizes, forward and backward: what compute-sanitizer watches."""

import torch

from seqlight import use_backend
from seqlight.nn import GRU, LSTM, RNN, CausalConv1d, WaveNet

SIZES = (3, 5, 4, 40)  # B, T, I, H: more than one warp of units


def main(device: str = "cuda") -> None:
    """Run them."""
    batch_size, steps, input_size, hidden_size = SIZES
    x = torch.randn(batch_size, steps, input_size, device=device)
    lengths = torch.tensor([5, 0, 3], device=device)
    with use_backend("native"):
        for layer_class, options in ((LSTM, {"peephole": True}), (GRU, {}), (RNN, {})):
            for layer_norm in (False, True):
                layer = layer_class(
                    input_size,
                    hidden_size,
                    layer_norm=layer_norm,
                    recurrent_dropout=0.3,
                    zoneout=0.2,
                    device=device,
                    **options,
                )
                layer(x, None, lengths)[0].sum().backward()
        CausalConv1d(input_size, 8, 2, dilation=2, device=device)(x)[0].sum().backward()
        wide = torch.randn(
            batch_size, 23, hidden_size, device=device
        )  # goes through tiles, none of them full
        CausalConv1d(hidden_size, 20, 2, dilation=2, device=device)(wide)[0].sum().backward()
        net = WaveNet(1, 1, hidden_size=8, num_blocks=1, layers_per_block=2).to(device)
        net(x[..., :1])[0].sum().backward()
        net.generate(x[..., :1], 3)
    if device == "cuda":
        torch.cuda.synchronize()
    print("all operators ran")


if __name__ == "__main__":
    main()
