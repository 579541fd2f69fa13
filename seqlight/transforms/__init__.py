"""Reversible transforms of the target: trend, season and scale removed, then added back to the forecast.

Every transform is fitted on the training part, saved in the checkpoint, and inverted exactly on forecasts;
missing cells are NaN throughout. A forecaster takes them by name, ``transform="log + difference(1, 24)"``,
see :func:`build_transform`; :func:`decompose` and the mu-law coding of waveforms are of use by themselves.
"""

from seqlight.transforms.base import Growth, Transform, WindowState
from seqlight.transforms.box_cox import BoxCox
from seqlight.transforms.compose import Compose
from seqlight.transforms.decomposition import Decomposition, decompose
from seqlight.transforms.difference import Difference
from seqlight.transforms.identity import Identity
from seqlight.transforms.instance import InstanceNormalizer
from seqlight.transforms.last_value import LastValue
from seqlight.transforms.log import Log
from seqlight.transforms.mean_scale import MeanScaler
from seqlight.transforms.min_max import MinMaxScaler
from seqlight.transforms.mu_law import mu_law_decode, mu_law_encode
from seqlight.transforms.seasonal_trend import Decompose
from seqlight.transforms.standard import StandardScaler
from seqlight.transforms.syntax import TRANSFORMS, build_transform

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
