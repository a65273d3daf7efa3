"""Measurements beside peers, and under load."""
