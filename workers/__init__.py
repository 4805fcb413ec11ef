"""Prepares answers before they are asked for: precompute jobs, refreshing, scheduling."""
