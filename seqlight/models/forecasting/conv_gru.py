"""The GRU forecaster with a convolution in front."""

from seqlight.models.forecasting.conv_recurrent import ConvRecurrentForecaster
from seqlight.models.forecasting.gru import GRUForecaster


class ConvGRUForecaster(ConvRecurrentForecaster, GRUForecaster):
    """A strided convolution, a GRU, and a linear output layer.

    Args:
        kwargs: the arguments of :class:`ConvRecurrentForecaster` (``filters``, ``kernel_size``, ``stride``)
            and :class:`GRUForecaster`.

    """
