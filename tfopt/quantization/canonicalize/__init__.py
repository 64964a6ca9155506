"""From the layers that users write to the few kinds of layers that quantization plans for."""
