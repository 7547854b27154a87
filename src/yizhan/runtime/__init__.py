"""The clock, the event loop, signals of the system, single flight and the notifier, for every room."""
