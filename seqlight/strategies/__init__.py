"""Strategies for forecasting several steps ahead: recursive, direct, every step, encoder-decoder."""

from seqlight.inputs import Window
from seqlight.strategies.base import Feed, Strategy
from seqlight.strategies.direct import DirectStrategy
from seqlight.strategies.encoder_decoder import EncoderDecoderNetwork, EncoderDecoderStrategy
from seqlight.strategies.every_step import EveryStepStrategy
from seqlight.strategies.loss import PointwiseLoss, masked_loss
from seqlight.strategies.network import output_steps, run_network
from seqlight.strategies.recursive import RecursiveStrategy

STRATEGIES: dict[str, type[Strategy]] = {
    "direct": DirectStrategy,
    "recursive": RecursiveStrategy,
    "every_step": EveryStepStrategy,
    "encoder_decoder": EncoderDecoderStrategy,
}
"""The strategies by the names that a forecaster's ``strategy`` argument takes."""

__all__ = [
    "STRATEGIES",
    "DirectStrategy",
    "EncoderDecoderNetwork",
    "EncoderDecoderStrategy",
    "EveryStepStrategy",
    "Feed",
    "PointwiseLoss",
    "RecursiveStrategy",
    "Strategy",
    "Window",
    "masked_loss",
    "output_steps",
    "run_network",
]
