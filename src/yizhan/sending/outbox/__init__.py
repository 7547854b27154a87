"""Stored deliveries, and every statement that moves one."""
