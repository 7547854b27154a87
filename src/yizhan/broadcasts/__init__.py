"""Broadcasts: one message for many recipients, stored, fed to the outbox, paused, recalled and reported."""
