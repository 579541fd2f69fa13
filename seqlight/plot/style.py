"""Colours that all plots share."""

HISTORY_COLOUR = "#3b4252"
FORECAST_COLOUR = "#d1495b"
TITLE_COLOUR = "#222222"
TEXT_COLOUR = "#4a4a4a"
NOTE_COLOUR = "#7a7a7a"
GRID_COLOUR = "#e6e6e6"
