"""A run on disk: its folder, its files, and where it ran. Needs no TensorFlow."""
