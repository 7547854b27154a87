"""Checks of the source tree that no linter has: docstring openings, module sizes, adapter reflection, import cycles."""
