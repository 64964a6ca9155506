"""Turning Python code into a graph of operations, by calling it on symbolic tensors."""
