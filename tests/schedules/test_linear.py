"""Linear against torch's LinearLR and optax's linear_schedule."""

from tfopt.schedules import Linear


def test_follows_torch(follows):
    follows(Linear(0.1 / 3, decay_steps=25, final_learning_rate=0.1), "torch.LinearLR")
    follows(Linear(0.1, decay_steps=40), "torch.LinearLR.down")


def test_follows_optax(follows):
    follows(Linear(0.02, decay_steps=33, final_learning_rate=0.2), "optax.linear_schedule")
