"""What a forecast holds, and what it refuses."""

import pytest
import torch

from seqlight.predictor import Forecast

POINT = torch.zeros(3, 4, 2)


def test_a_forecast_holds_quantiles_and_paths_of_its_point() -> None:
    forecast = Forecast(POINT, torch.zeros(3, 4, 2, 2), (0.1, 0.9), torch.zeros(7, 3, 4, 2))
    assert forecast.quantiles is not None
    assert forecast.quantiles.shape == (3, 4, 2, 2)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"quantiles": torch.zeros(3, 4, 2, 1)}, "quantiles"),
        ({"quantile_levels": (0.5,)}, "quantiles"),
        ({"quantiles": torch.zeros(3, 4, 2, 2), "quantile_levels": (0.9, 0.1)}, "quantile_levels"),
        ({"quantiles": torch.zeros(3, 4, 2, 2), "quantile_levels": (0.5, 0.5)}, "quantile_levels"),
        ({"quantiles": torch.zeros(3, 4, 2, 1), "quantile_levels": (1.0,)}, "quantile_levels"),
        ({"samples": torch.zeros(7, 3, 4, 1)}, "samples"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Forecast(POINT, **given)  # type: ignore[arg-type]
