"""The two ends of the wire: `caller` (client) and `router` (server). aiohttp lives here, and only here."""
