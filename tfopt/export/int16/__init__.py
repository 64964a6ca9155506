"""16-bit activations in a file that the converter made with 8 bits."""
