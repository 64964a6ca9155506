"""What the callbacks share: access to gradients, rates and variables of a running `fit`."""
