"""Media: the library, what is known about bytes, what must be done to them, and the handles platforms gave for them."""
