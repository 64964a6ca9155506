"""What all optimizers are made of: groups of variables, hyperparameters, accumulation, the training step."""
