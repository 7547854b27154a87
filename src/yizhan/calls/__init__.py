"""The public calls of the engine, by topic; `Engine` inherits them."""
