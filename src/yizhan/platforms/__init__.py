"""The platforms: one folder each, with the same five rooms in every one. Start with `base.py`, then `qqbot/`."""
