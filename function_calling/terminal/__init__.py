"""The chat in the terminal: a person types, the agent answers, each step is shown as it happens."""
