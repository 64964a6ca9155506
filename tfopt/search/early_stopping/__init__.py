"""Early stopping of trials: many train a few epochs, the better ones of them more, the best to the end."""
