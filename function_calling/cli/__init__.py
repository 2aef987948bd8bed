"""The commands that people run: serve, ask and chat."""
