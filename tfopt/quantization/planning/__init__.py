"""Which tensors of a model are quantized, in how many bits, and which of them share a scale."""
