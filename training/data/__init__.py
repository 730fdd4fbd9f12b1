"""Datasets: looked over before a minute of training is spent on them, mended by a list, and converted."""
