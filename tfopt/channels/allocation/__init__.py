"""How many units each group keeps, so that all budgets are met."""
