"""Data as one value: splits, class count, normalization, calibration samples, a fingerprint."""

from tfopt.data.arrays import from_arrays
from tfopt.data.dataset import Dataset
from tfopt.data.sources import from_batches, load, load_audio, load_text, read_wav

__all__ = ["Dataset", "from_arrays", "from_batches", "load", "load_audio", "load_text", "read_wav"]
