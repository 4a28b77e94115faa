"""What Alembic runs to apply the migrations: in the transaction that `migrating.py` has begun."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
