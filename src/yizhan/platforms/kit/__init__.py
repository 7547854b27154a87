"""What platforms share: base classes and rules."""
