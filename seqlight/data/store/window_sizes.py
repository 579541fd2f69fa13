"""Sizes of windows for whoever names none."""

SEASONS_IN_CONTEXT = 14  # two weeks of days: what is of a week has come twice
STEPS_WITHOUT_SEASON = 7
MAX_DEFAULT_CONTEXT = 336
MAX_DEFAULT_HORIZON = 168


def choose_sizes(length: int, season: int, *, horizon: int | None, context: int | None) -> tuple[int, int]:
    """Return context and horizon for series of ``length`` steps with the given ``season``; given ones stay.

    Horizon: one season, but no more than a twelfth of the series. Context: fourteen seasons or two horizons,
    whichever is more, but no more than a quarter of the series, unless one whole season takes more and fits.

    Returns:
        ``(context, horizon)``, each at least 1. The data module says whether the series are long enough.
    """
    if horizon is None:
        horizon = max(1, min(season if season > 1 else 12, length // 12, MAX_DEFAULT_HORIZON))
    if context is None:
        usual = SEASONS_IN_CONTEXT * season if season > 1 else STEPS_WITHOUT_SEASON
        wanted = max(2 * horizon, min(usual, MAX_DEFAULT_CONTEXT))
        context = max(1, min(wanted, length // 4))
        targets = 3 * horizon  # of one window each in training, validation and test
        if context < season <= min(MAX_DEFAULT_CONTEXT, length // 2 - targets):
            context = season
    return context, horizon
