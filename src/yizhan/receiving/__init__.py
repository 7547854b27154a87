"""What comes in: listening, the event log, readers."""
