"""TensorFlow's functions on symbolic tensors, as operations of `keras.ops`."""
