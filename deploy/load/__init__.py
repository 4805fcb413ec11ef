"""Asking an edge as clients do, for demonstrations and measurements."""
