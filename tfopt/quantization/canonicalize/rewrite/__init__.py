"""Rewrites: a layer or operation as others that compute the same and have int8 kernels."""
