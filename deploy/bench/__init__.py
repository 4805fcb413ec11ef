"""Measuring a running edge from outside."""
