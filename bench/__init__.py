"""Measures yizhan against a baseline in the same run; every figure is a ratio. `python -m bench [NAME …] [--quick]`."""
