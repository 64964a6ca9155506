"""Stages that runs in one folder have in common: done once, taken by the others."""
