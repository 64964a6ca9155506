"""What the schedules share: their base, arguments, shapes, and how they call one another."""
