"""The classical runtime: a preloaded fork server and the sandboxed workers it forks."""
