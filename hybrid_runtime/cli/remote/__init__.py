"""The commands of `qi-run` that ask a job manager, one module for each or for a few that look alike."""
