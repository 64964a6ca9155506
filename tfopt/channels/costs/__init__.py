"""What a model costs as a function of the units that are kept: multiply-accumulates, weights, bytes, time."""
