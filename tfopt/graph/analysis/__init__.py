"""What can be found out about a graph without changing it."""
