"""TensorFlow's converter in a process of its own, and what it writes wrongly."""
