"""How one kernel becomes several: a class a method, NumPy alone but for the configs of layers."""
