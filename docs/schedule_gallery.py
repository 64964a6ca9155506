"""Draws the pictures of the pages on schedules and on classical optimizers.

python docs/schedule_gallery.py
"""

import io
from pathlib import Path

import keras
from PIL import Image

from tfopt import schedules as s

STEPS = 1000
GALLERY = {
    "WarmupCosine": s.WarmupCosine(0.1, warmup_steps=100, total_steps=STEPS),
    "WarmupStableDecay": s.WarmupStableDecay(0.1, warmup_steps=100, decay_steps=300, total_steps=STEPS),
    "OneCycle": s.OneCycle(0.1, total_steps=STEPS),
    "OneCycle, three_phase": s.OneCycle(
        0.1, total_steps=STEPS, anneal="linear", three_phase=True, pct_start=0.4
    ),
    "InverseSqrt": s.InverseSqrt(0.1, warmup_steps=100),
    "Noam": s.Noam(512, warmup_steps=200, scale=32),
    "REX": s.REX(0.1, decay_steps=STEPS),
    "Linear": s.Linear(0.1, decay_steps=STEPS),
    "Polynomial, power=3": s.Polynomial(0.1, decay_steps=STEPS, power=3.0),
    "Exponential": s.Exponential(0.1, decay_rate=0.5, decay_steps=200),
    "Step, milestones": s.Step(0.1, milestones=[300, 600, 850], gamma=0.4),
    "CosineRestarts": s.CosineRestarts(0.1, first_decay_steps=143, m_mul=0.8),
    "Cyclic, triangular": s.Cyclic(0.01, 0.1, step_size_up=100),
    "Cyclic, triangular2": s.Cyclic(0.01, 0.1, step_size_up=100, mode="triangular2"),
    "Cyclic, exp_range": s.Cyclic(0.01, 0.1, step_size_up=100, mode="exp_range", gamma=0.998),
    "Warmup around Exponential": s.Warmup(
        s.Exponential(0.1, decay_rate=0.5, decay_steps=200, staircase=True), warmup_steps=150, shape="cosine"
    ),
    "Sequence": s.Sequence(
        [s.Linear(0.02, decay_steps=200, final_learning_rate=0.1), 0.1, s.REX(0.1, decay_steps=500)],
        milestones=[200, 500],
    ),
    "Chain": s.Chain([s.Cyclic(0.06, 0.1, step_size_up=40), s.Linear(1.0, decay_steps=STEPS)]),
}

DECAYS = {
    "linear": s.Linear(0.1, decay_steps=STEPS),
    "exponential": s.Exponential(0.1, decay_rate=0.1, decay_steps=STEPS),
    "step": s.Step(0.1, step_size=250, gamma=0.5),
}


def draw(schedules: dict[str, keras.optimizers.schedules.LearningRateSchedule], path: Path) -> None:
    """Save a picture with few colours, which makes it a third as large."""
    picture = io.BytesIO()
    s.plot(schedules, STEPS + 1, columns=3).savefig(picture, dpi=120)
    path.parent.mkdir(exist_ok=True)
    Image.open(picture).convert("RGB").quantize(48).save(path, optimize=True)


if __name__ == "__main__":
    images = Path(__file__).parent / "images"
    draw(GALLERY, images / "schedules.png")
    draw(DECAYS, images / "decays.png")
