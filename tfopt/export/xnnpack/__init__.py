"""Int8 operators lowered to others that XNNPACK, LiteRT's delegate for CPUs, takes."""
