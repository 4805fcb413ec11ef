"""What goes over the wire as JSON, as types: what an edge describes itself with, and what its client reads into."""
