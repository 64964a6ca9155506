"""Optimizers that estimate their own learning rate."""
