"""The limit of the chapter's series: a least-squares fit of the form they were made from.

A network learns what the series look like; this fit is told. Each series is a sine of amplitude 0.5 and
angular frequency 10 to 20, one of amplitude 0.2 and 20 to 40, and noise, on a time grid from 0 to 1. The fit
finds the two frequencies and phases from the inputs alone and continues the curve. Little can be done better:
what is left is the noise, whose variance is 0.1^2 / 12 = 0.00083, and what 50 noisy points do not tell of the
four parameters.
"""

import numpy as np
from numpy.typing import NDArray

AMPLITUDES = np.array([0.5, 0.2])
FREQUENCIES = ((10.0, 20.0), (20.0, 40.0))
"""Angular frequencies of each wave lie between these."""

NOISE_VARIANCE = 0.1**2 / 12

BANDS = 4
"""Parts of the second wave's frequencies, from the best pair of each of which a fit is started."""


class TwoSineFit:
    """Fits a_1 sin(w_1 t + p_1) + a_2 sin(w_2 t + p_2), a known, to the beginning of series; continues it.

    Every pair of frequencies on a grid is tried with free amplitudes, which is a linear problem; from the
    best ones on, Levenberg and Marquardt's method finds frequencies and phases for the known amplitudes.

    Args:
        context_length: number L of inputs.
        prediction_length: number H of steps after them; the time grid has L + H points from 0 to 1.
        grid: frequencies tried for each wave.
        iterations: steps of Levenberg and Marquardt's method.
    """

    def __init__(
        self, context_length: int, prediction_length: int, *, grid: int = 21, iterations: int = 12
    ) -> None:
        time = np.linspace(0.0, 1.0, context_length + prediction_length)
        self.past, self.future = time[:context_length], time[context_length:]
        self.iterations = iterations
        first, second = (np.linspace(*limits, grid) for limits in FREQUENCIES)
        self.pairs = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)  # [G, 2]
        angles = self.pairs[:, None, :] * self.past[None, :, None]  # [G, L, 2]
        # sin(wt + p) = cos(p) sin(wt) + sin(p) cos(wt): linear in the two factors.
        basis = np.concatenate([np.sin(angles), np.cos(angles)], axis=2)  # [G, L, 4]
        self.orthogonal, _ = np.linalg.qr(basis)
        self.inverse = np.linalg.pinv(basis)  # [G, 4, L]

    def __call__(self, past: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the forecast [B, H] of series whose first L values are ``past`` [B, L]."""
        frequencies, phases = self.fit(past)
        angles = frequencies[:, None] * self.future[:, None] + phases[:, None]  # [B, H, 2]
        return np.sin(angles) @ AMPLITUDES

    def fit(self, past: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return angular frequencies and phases, both [B, 2], of the inputs [B, L]."""
        values = np.asarray(past, dtype=np.float64)
        # The best pair leaves the smallest residual: the largest part of the series lies in its span.
        explained = np.stack([((values @ q) ** 2).sum(1) for q in self.orthogonal], axis=1)  # [B, G]
        parameters, error = self._descend(explained.argmax(1), values)
        # From the pair of the grid a few in a thousand descend to a local minimum: start from others, too.
        for band in np.array_split(np.argsort(self.pairs[:, 1], kind="stable"), BANDS):
            other, other_error = self._descend(band[explained[:, band].argmax(1)], values)
            parameters = np.where((other_error < error)[:, None], other, parameters)
            error = np.minimum(error, other_error)
        return parameters[:, :2], parameters[:, 2:]

    def _descend(
        self, start: NDArray[np.int64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return parameters [B, 4] and squared error [B] after descending from grid pairs ``start`` [B]."""
        weights = (self.inverse[start] @ values[:, :, None])[:, :, 0]  # [B, 4]
        parameters = np.concatenate([self.pairs[start], np.arctan2(weights[:, 2:], weights[:, :2])], axis=1)
        lowest, highest = np.transpose(FREQUENCIES)
        damping = np.full(len(values), 1e-2)
        residual, jacobian = self._residual(parameters, values)
        error = (residual**2).sum(1)
        for _ in range(self.iterations):
            normal = np.einsum("blp,blq->bpq", jacobian, jacobian)
            gradient = np.einsum("blp,bl->bp", jacobian, residual)
            damped = normal + damping[:, None, None] * normal * np.eye(4)
            trial = parameters + np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
            trial[:, :2] = trial[:, :2].clip(lowest, highest)
            trial_residual, trial_jacobian = self._residual(trial, values)
            trial_error = (trial_residual**2).sum(1)
            better = trial_error < error
            parameters = np.where(better[:, None], trial, parameters)
            residual = np.where(better[:, None], trial_residual, residual)
            jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)
            error = np.where(better, trial_error, error)
            damping = np.where(better, damping / 5, damping * 5).clip(1e-12, 1e12)
        return parameters, error

    def _residual(
        self, parameters: NDArray[np.float64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the curve misses [B, L], and the curve's derivatives by the parameters [B, L, 4]."""
        angles = parameters[:, None, :2] * self.past[:, None] + parameters[:, None, 2:]  # [B, L, 2]
        slope = AMPLITUDES * np.cos(angles)
        jacobian = np.concatenate([slope * self.past[:, None], slope], axis=2)
        return values - np.sin(angles) @ AMPLITUDES, jacobian
