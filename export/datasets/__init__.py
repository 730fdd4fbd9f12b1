"""Labelled photos in folders: opened, split so that nothing leaks from training into the test, and read."""

from export.datasets.opening import open_dataset
from export.datasets.samples import Dataset, Sample

__all__ = ["Dataset", "Sample", "open_dataset"]
