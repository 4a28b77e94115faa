"""The `qi-run` command, one module a subcommand."""
