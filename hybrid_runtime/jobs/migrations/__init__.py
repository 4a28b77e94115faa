"""How the tables of the job manager's database came to be, one module a version."""
