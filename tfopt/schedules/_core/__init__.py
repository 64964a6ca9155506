"""What the schedules share: checks, shapes, nesting and the count of updates."""
