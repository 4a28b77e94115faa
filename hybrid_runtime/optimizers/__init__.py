"""The machinery behind `hybrid_runtime.optimize`."""
