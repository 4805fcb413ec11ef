"""The HTTP doors of an edge."""
