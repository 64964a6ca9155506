"""Decompositions: a layer or operation as the layers and operations that it consists of."""
