"""How people and programs show who they are.

`factors` and `sessions` in the browser; `proving`, `tokens` and `signing` for programs that log in as a person, and
`authentication` reads a token of theirs.
"""
