"""Reversible transforms of the target: trend, season and scale removed, then added back to the forecast.

Every transform is fitted on the training part, saved in the checkpoint, and inverted exactly on forecasts;
missing cells are NaN throughout. A forecaster takes them by name, ``transform="log + difference(1, 24)"``,
see :func:`build_transform`; :func:`decompose` and the mu-law coding of waveforms are of use by themselves.
"""

from .base import Growth, Transform, WindowState
from .box_cox import BoxCox
from .compose import Compose
from .decomposition import Decomposition, decompose
from .difference import Difference
from .identity import Identity
from .instance import InstanceNormalizer
from .last_value import LastValue
from .log import Log
from .mean_scale import MeanScaler
from .min_max import MinMaxScaler
from .mu_law import mu_law_decode, mu_law_encode
from .seasonal_trend import Decompose
from .standard import StandardScaler
from .syntax import TRANSFORMS, build_transform

__all__ = [
    "TRANSFORMS",
    "BoxCox",
    "Compose",
    "Decompose",
    "Decomposition",
    "Difference",
    "Growth",
    "Identity",
    "InstanceNormalizer",
    "LastValue",
    "Log",
    "MeanScaler",
    "MinMaxScaler",
    "StandardScaler",
    "Transform",
    "WindowState",
    "build_transform",
    "decompose",
    "mu_law_decode",
    "mu_law_encode",
]
