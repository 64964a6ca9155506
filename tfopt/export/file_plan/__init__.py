"""What a quantization-aware model says of each tensor of its file, and whether the file is that."""
