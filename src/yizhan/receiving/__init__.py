"""Incoming events: listeners, the event log, readers."""
