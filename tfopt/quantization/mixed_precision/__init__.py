"""Choosing the bits of each layer, from what each layer loses and what it costs."""
