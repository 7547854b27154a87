"""Base classes and rules that platforms share."""
