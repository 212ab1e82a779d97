"""Simulated cardiac MR studies with known truth."""
