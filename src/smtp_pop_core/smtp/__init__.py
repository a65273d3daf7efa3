"""SMTP as a state machine."""
