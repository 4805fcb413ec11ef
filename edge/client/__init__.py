"""A client for applications: typed answers from an edge, with retries, deadlines and pooled connections."""
