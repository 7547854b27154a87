"""Mutation testing: small deliberate faults in the code, to see which of them no test notices. `make mutants`."""
