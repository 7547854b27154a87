"""The platforms: one folder of five files each. Start with `base.py`, then `qqbot/`."""
