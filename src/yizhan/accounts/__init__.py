"""Accounts: settings, sessions, contacts."""
