"""The dashboard: one page, and the numbers it shows."""
