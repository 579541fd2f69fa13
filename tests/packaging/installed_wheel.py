"""What an installed seqlight must be able to do, run by its environment's Python in a folder of its own.

`check_wheel.py` and `try_wheels.py` run it. It needs torch alone.
"""

import pathlib
import sys

import torch

import seqlight
import seqlight.nn


def check_package() -> None:
    """The package is the installed one, with its types, without sources, with its kernels."""
    package = pathlib.Path(seqlight.__file__).parent
    assert package.is_relative_to(sys.prefix), f"imported {package}, not the wheel"
    assert (package / "py.typed").is_file()
    assert not list(package.rglob("*.cpp")), "sources have no place in a wheel"
    info = seqlight.build_info()
    print(info)
    assert info["native"] is True, info


def check_against_torch(cell: str) -> None:
    """Kernels give torch's own values, states and gradients, and it was kernels that ran."""
    from seqlight import _C

    torch.manual_seed(0)
    ours = getattr(seqlight.nn, cell)(5, 7, num_layers=2)
    theirs = ours.to_torch()
    x = torch.randn(3, 11, 5)
    before = dict(_C.call_counts())
    output, state = ours(x)
    output.square().sum().backward()
    expected, expected_state = theirs(x)
    expected.square().sum().backward()
    counts = {name: count - before.get(name, 0) for name, count in _C.call_counts().items()}
    for part in ("forward", "backward"):
        assert counts.get(f"{cell.lower()}_{part}.float32", 0) >= 2, counts
    states = zip(state, expected_state, strict=True) if cell == "LSTM" else [(state, expected_state)]
    for actual, wanted in [(output, expected), *states]:
        torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-6)
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)


def check_convolution() -> None:
    """The other family of kernels, against torch's convolution."""
    from seqlight import _C

    torch.manual_seed(0)
    layer = seqlight.nn.CausalConv1d(5, 6, 3, dilation=2)
    x = torch.randn(3, 11, 5)
    before = dict(_C.call_counts()).get("causal_conv1d_forward.float32", 0)
    output = layer(x)[0]
    padded = torch.nn.functional.pad(x.transpose(1, 2), (4, 0))
    expected = torch.nn.functional.conv1d(padded, layer.weight, layer.bias, dilation=2).transpose(1, 2)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    assert dict(_C.call_counts())["causal_conv1d_forward.float32"] > before


check_package()
for cell in ("LSTM", "GRU", "RNN"):
    check_against_torch(cell)
check_convolution()
print("native forward and backward agree with torch's own layers")
