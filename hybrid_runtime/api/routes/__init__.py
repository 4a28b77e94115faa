"""One module for each resource; each has a `router`, and its operations look alike."""
