"""The Open Inference Protocol v2 over HTTP, and KServe's v1 door."""
