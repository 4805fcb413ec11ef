"""The edge: answers from memory, from the replica near it, or by running the model itself."""
