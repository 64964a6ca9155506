"""Making new models from the graph of an old one."""
