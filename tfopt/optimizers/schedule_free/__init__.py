"""Schedule-free optimizers (Defazio et al., 2024)."""
