"""Sounds in folders, one folder a class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfopt import _validation
from tfopt.data.arrays import from_arrays
from tfopt.data.dataset import Dataset
from tfopt.data.sources.class_folders import FileKind, read_class_folders
from tfopt.errors import DataError

_WAV = FileKind(suffixes=(".wav",), plural="WAV files")


def load_audio(
    source: str | os.PathLike[str],
    *,
    sample_rate: int = 16_000,
    seconds: float = 1.0,
    features: Callable[[np.ndarray], Any] | None = None,
    class_of: Callable[[str], str | None] | None = None,
    seed: int = 0,
    **options: Any,
) -> Dataset:
    """Load a folder `<class>/<clip>.wav`, or `train|validation|test/<class>/<clip>.wav`.

    A clip becomes float32 from -1 to 1, the mean of its channels, cut or padded with zeros to one length.

    Args:
        source: the folder.
        sample_rate: of all clips, in hertz.
        seconds: the length of a sample; above 0.
        features: what a sample is made of a clip: a function of an array of shape (samples of the clip,),
            such as a log-mel spectrogram; by default the clip itself. It is applied outside of the model: who
            uses the file applies it as well.
        class_of: name of a folder -> name of its class, or `None` to leave the folder out. Several folders
            may be one class, such as unknown words.
        seed: decides which training samples are held out for validation.
        **options: of `from_arrays`.

    Raises:
        DataError: there are no WAV files, or one cannot be read or has another sample rate.
    """
    _validation.whole("load_audio", "sample_rate", sample_rate, at_least=1)
    _validation.number("load_audio", "seconds", seconds, above=0)
    length = round(sample_rate * seconds)

    def read(file: Path) -> np.ndarray:
        clip = read_wav(file, sample_rate)[:length]
        clip = np.pad(clip, (0, length - len(clip)))
        return clip if features is None else np.asarray(features(clip))

    found = read_class_folders(source, _WAV, read, caller="load_audio", class_of=class_of)
    return from_arrays(**(found | options), seed=seed)


def read_wav(file: str | os.PathLike[str], sample_rate: int = 16_000) -> np.ndarray:
    """Return the sound of a WAV file: float32 from -1 to 1, the mean of its channels, shape (samples,).

    Args:
        file: of integers of any width, or of floats.
        sample_rate: that it must have, in hertz.

    Raises:
        DataError: it cannot be read or has another sample rate.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that it does not know
            rate, values = wavfile.read(file)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"Cannot read the sound {file}: {error}. Remove or replace it.") from error
    if rate != sample_rate:
        raise DataError(
            f"{file} has {rate} samples a second, and {sample_rate} are expected. Resample the clips."
        )
    clip = _as_float(values)
    return clip.mean(axis=1) if clip.ndim == 2 else clip


def _as_float(values: np.ndarray) -> np.ndarray:
    """Return samples from -1 to 1: bytes of a WAV file are unsigned, wider integers signed."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    return values.astype(np.float32) / np.float32(-float(np.iinfo(values.dtype).min))
