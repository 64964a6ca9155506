"""Fake quantization of activations and weights: the layers that put tensors on integer grids."""
