"""The LSTM forecaster with a convolution in front."""

from seqlight.models.forecasting.conv_recurrent import ConvRecurrentForecaster
from seqlight.models.forecasting.lstm import LSTMForecaster


class ConvLSTMForecaster(ConvRecurrentForecaster, LSTMForecaster):
    """A strided convolution, an LSTM with or without peephole connections, and a linear output layer.

    Not to be confused with the convolutional LSTM, whose recurrent products are convolutions over images.

    Args:
        kwargs: the arguments of :class:`ConvRecurrentForecaster` (``filters``, ``kernel_size``, ``stride``)
            and :class:`LSTMForecaster` (``peephole``).

    """
