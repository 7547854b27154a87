"""HTTP and WebSockets: `client` for accounts, `router` and `listener` for servers."""
