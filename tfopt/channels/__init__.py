"""Channel pruning: channels, heads and units are removed for good, and the model is smaller and faster."""
