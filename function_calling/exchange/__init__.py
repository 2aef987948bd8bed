"""Currencies by their names, the rates between them, and exact arithmetic."""
