"""A function as a tool: its JSON Schema, the check of a call, and the call within its bounds."""
