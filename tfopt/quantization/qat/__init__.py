"""Quantization-aware training: the model is built, calibrated and made ready for export."""
