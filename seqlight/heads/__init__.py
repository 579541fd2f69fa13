"""What a network's output means: a point, quantiles, or the parameters of a distribution.

A forecaster takes a head by name, ``head="student_t"``, see :data:`HEADS`.
"""

from seqlight.heads.base import Head, normal_scores
from seqlight.heads.build import HEADS, build_head
from seqlight.heads.columns import forecast_columns, point_column
from seqlight.heads.counts import CountHead
from seqlight.heads.negative_binomial import NegativeBinomialHead
from seqlight.heads.normal import NormalHead
from seqlight.heads.point import PointHead
from seqlight.heads.poisson import PoissonHead
from seqlight.heads.quantile import QuantileHead
from seqlight.heads.student_t import StudentTHead

__all__ = [
    "HEADS",
    "CountHead",
    "Head",
    "NegativeBinomialHead",
    "NormalHead",
    "PointHead",
    "PoissonHead",
    "QuantileHead",
    "StudentTHead",
    "build_head",
    "forecast_columns",
    "normal_scores",
    "point_column",
]
