"""Formats, frequencies and calendar features of times."""
