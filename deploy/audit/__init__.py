"""Proof while running: what edges answer, held against what the primary says."""
