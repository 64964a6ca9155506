"""Layers that a quantization-aware model has in place of Keras layers that no int8 kernel computes."""
