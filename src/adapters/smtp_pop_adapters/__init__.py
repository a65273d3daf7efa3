"""Adapters that do the I/O for smtp_pop_core."""
