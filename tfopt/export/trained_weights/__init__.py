"""Weights in a file on the grids that they were trained on."""
