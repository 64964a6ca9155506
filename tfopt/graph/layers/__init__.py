"""Layers that graphs are rewritten with."""
