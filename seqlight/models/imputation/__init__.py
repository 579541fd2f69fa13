"""Imputers, which fill missing cells, and their baselines."""
