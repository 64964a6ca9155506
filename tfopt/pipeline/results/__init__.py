"""How good the model or file of a stage is, and what it costs."""
