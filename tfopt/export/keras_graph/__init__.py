"""What is done to the graph of a Keras model before TensorFlow's converter reads it."""
