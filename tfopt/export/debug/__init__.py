"""Where a file and its Keras model differ, tensor by tensor."""
