"""The command `ratelimiter`: checks, rules as code, keys and usage from a terminal. A client of the API; nothing of the
service runs in it.

main        the commands check, usage and tail, and all others together
access      login, logout, whoami
rules       export, diff, apply
keys        list, create, rotate, revoke
client      speaks to the API
rules_file  reads YAML, and knows on which line a problem is
profile     what is remembered between two commands
printing    text for people or JSON for programs
"""
