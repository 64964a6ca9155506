"""The training of a stage: compiled anew each time, at its learning rate, resumed from a checkpoint."""
