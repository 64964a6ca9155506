"""Optimizers whose state is kept in blocks of 8-bit integers."""
