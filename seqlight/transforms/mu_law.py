"""Mu-law companding: a waveform as classes that are fine where it is quiet and coarse where it is loud."""

import math

import torch
from torch import Tensor


def mu_law_encode(waveform: Tensor, *, mu: int = 255) -> Tensor:
    r"""Turn a waveform into ``mu + 1`` classes.

    .. math:: y = \operatorname{sign}(x) \frac{\ln(1 + \mu |x|)}{\ln(1 + \mu)}, \qquad
        c = \left\lfloor \mu \frac{y + 1}{2} + \frac{1}{2} \right\rfloor

    the continuous curve with mu = 255, which ITU-T G.711 approximates by straight segments, quantised evenly
    as in WaveNet (van den Oord et al. 2016). Silence is class (mu + 1) // 2.

    Args:
        waveform: any shape, floating point, full scale from -1 to 1; values beyond are clipped.
        mu: the last class, at least 1; larger values leave more classes to quiet sounds.

    Returns:
        int64 classes from 0 to mu, in the shape of `waveform`.

    Raises:
        TypeError: the waveform is not floating point, or mu no integer.
        ValueError: mu is below 1, or a value is NaN.
    """
    _check_mu("mu_law_encode", mu)
    if not isinstance(waveform, Tensor) or not waveform.is_floating_point():
        kind = waveform.dtype if isinstance(waveform, Tensor) else type(waveform).__name__
        raise TypeError(
            f"mu_law_encode: waveform expected a floating-point tensor from -1 to 1, got {kind}; "
            "divide integer samples by their full scale, as samples / 32768"
        )
    if waveform.isnan().any():
        raise ValueError("mu_law_encode: waveform expected numbers, got NaN; fill missing samples before")
    x = waveform.clamp(-1, 1)
    companded = x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)
    return torch.floor(mu * (companded + 1) / 2 + 0.5).long()


def mu_law_decode(classes: Tensor, *, mu: int = 255) -> Tensor:
    r"""Turn the classes of :func:`mu_law_encode` back into a waveform.

    .. math:: y = \frac{2 c}{\mu} - 1, \qquad
        x = \operatorname{sign}(y) \frac{(1 + \mu)^{|y|} - 1}{\mu}

    Args:
        classes: any shape, integers from 0 to mu.
        mu: as it was given to :func:`mu_law_encode`.

    Returns:
        float32 from -1 to 1, in the shape of `classes`. It differs from what was coded by at most half the
        distance of two classes: about ln(1 + mu) / mu of the value where that is large, and
        ln(1 + mu) / mu^2 near 0.

    Raises:
        TypeError: the classes are not integers, or mu no integer.
        ValueError: mu is below 1, or a class is not in 0 ... mu.
    """
    _check_mu("mu_law_decode", mu)
    if not isinstance(classes, Tensor) or classes.is_floating_point() or classes.dtype == torch.bool:
        kind = classes.dtype if isinstance(classes, Tensor) else type(classes).__name__
        raise TypeError(f"mu_law_decode: classes expected an integer tensor, got {kind}")
    if classes.numel():
        lowest, highest = int(classes.min()), int(classes.max())
        if lowest < 0 or highest > mu:
            raise ValueError(f"mu_law_decode: classes expected in 0 ... {mu}, got {lowest} ... {highest}")
    companded = 2 * classes.float() / mu - 1
    return companded.sign() * torch.expm1(companded.abs() * math.log1p(mu)) / mu


def _check_mu(function: str, mu: int) -> None:
    if not isinstance(mu, int) or isinstance(mu, bool):
        raise TypeError(f"{function}: mu expected an integer, got {mu!r}")
    if mu < 1:
        raise ValueError(f"{function}: mu expected at least 1, got {mu}")
