"""What every room may use: time, the event loop, single flight."""
