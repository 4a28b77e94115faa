"""The task manager: steps jobs between classical and quantum runtimes."""
