"""Measurements against a running server: how often it answers rightly, and how fast."""
