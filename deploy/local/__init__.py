"""The one-machine stack: an embedded Redis and a supervisor for everything else."""
