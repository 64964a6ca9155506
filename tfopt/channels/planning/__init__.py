"""Deciding which channels go: the goal, the rules, the choice, and the plan that comes of it."""
