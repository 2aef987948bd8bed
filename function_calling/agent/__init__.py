"""The loop: ask the model, call what it asks for, check, answer."""
