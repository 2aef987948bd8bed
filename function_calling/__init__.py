"""A model behind an OpenAI-compatible door, and an assistant that goes through that door to act.

The model half is in `api`, `model`, `formats`, `engines` and `weights`, with the commands in `cli`
that look at it: `render`, `parse`, `samples`. The assistant half is in the other rooms. Both know
`settings` and `errors`; neither imports the other.
"""
