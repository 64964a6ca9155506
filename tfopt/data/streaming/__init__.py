"""Samples that are not held in memory: read where they are indexed, batch by batch."""
