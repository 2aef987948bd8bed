"""The commands that people run.

`serve`, `ask` and `chat`, and for those who debug or train a model `render`, `parse` and `samples`.
"""
