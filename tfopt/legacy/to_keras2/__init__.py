"""From Keras 3 to Keras 2."""
