"""An OpenAI-compatible door in front of any model, and an assistant that goes through it to act.

The assistant half: `agent` (the tool-call loop), `toolbox` (functions as tools), `grounding`
(answers say what tools returned), `tool_sets` (which tools an operator chose), `rates`,
`currencies`, `todos` and `todo_tools` (what `tools.py` is made of), `terminal` (the chat).

The model half: `chat_model` (a format and an engine make a chat model), `formats` (how calls are
spelled), `engines` (text in, text out), `schemas` (what a constraint can enforce), `weights`
(which file, where from).

Both share `messages`, `settings` and `errors`. The halves never import each other; between them
runs OpenAI JSON over HTTP.
"""
