"""A to-do list, kept in SQLite, and the tools with which a model keeps it."""
