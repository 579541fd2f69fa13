"""Models from sequences to labels or numbers, and from vectors to sequences."""
