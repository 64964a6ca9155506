"""What quantization knows about each operation of Keras."""
