"""Tables, the ledger that writes them, migrations, and the blob store."""
