"""From circuit text to a typed gate list. Runs in the sandbox of whoever wrote the text."""
