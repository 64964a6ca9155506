"""From Keras 2 to Keras 3."""
