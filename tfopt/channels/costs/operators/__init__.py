"""The time of each operator of a file as a function of the sizes of its tensors."""
