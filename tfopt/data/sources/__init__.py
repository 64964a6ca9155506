"""Where data comes from: names, files, and folders of images, sounds and texts."""

from tfopt.data.sources.audio import load_audio, read_wav
from tfopt.data.sources.batches import from_batches
from tfopt.data.sources.load import load
from tfopt.data.sources.text import load_text

__all__ = ["from_batches", "load", "load_audio", "load_text", "read_wav"]
