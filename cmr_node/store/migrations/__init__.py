"""Alembic revisions of the index, run by ``store.database`` at start."""
