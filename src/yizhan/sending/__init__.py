"""The durable path: outbox, worker, lanes, runner, retry, budget. Read in that order."""
