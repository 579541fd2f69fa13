"""In which dtype an op computes and in which it answers: half precision, mixed precision, autocast."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqlight.ops.checks import check_floating


class Precision(NamedTuple):
    """The dtypes of one call."""

    compute: torch.dtype  #: float64 for float64, float32 for everything else
    result: torch.dtype  #: of what the op returns
    autocast: bool  #: whether autocast is on, so that the arguments' dtypes may differ


_FLOAT64 = Precision(torch.float64, torch.float64, False)
_FLOAT32 = Precision(torch.float32, torch.float32, False)


def precision_of(op: str, x: Tensor) -> Precision:
    """Find the dtypes for a call of `op` on the input `x`.

    float16 and bfloat16 are computed in float32 and answered in their own dtype. Under ``torch.autocast``
    everything but float64 is answered in autocast's dtype, as torch.nn.LSTM does, though computed in float32
    from the arguments as they are.

    Raises:
        TypeError: `x` does not hold real floating-point numbers.
    """
    dtype = x.dtype
    if dtype == torch.float64:
        return _FLOAT64
    check_floating(op, "x", x)
    device_type = x.device.type
    # Asking for autocast on a device that knows none (meta) is an error.
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        return Precision(torch.float32, torch.get_autocast_dtype(device_type), True)
    return _FLOAT32 if dtype == torch.float32 else Precision(torch.float32, dtype, False)
