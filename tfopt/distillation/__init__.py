"""Knowledge distillation: a model trains to return what another, its teacher, returns."""

from tfopt.distillation.distilling import distilling

__all__ = ["distilling"]
