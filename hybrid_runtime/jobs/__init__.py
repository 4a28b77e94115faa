"""The job manager's memory: users, bundles, jobs and results in a database, and the rules by which they change."""
