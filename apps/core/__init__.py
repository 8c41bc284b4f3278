"""What every room needs and none of them is about. Knows no tenant but by number.

`scope` is the one way to a tenant's rows, with `rls`, `postgresql` and `guard` behind it. Work: `enqueue`, `task` and
`command` hand it over, `origin` says who is at it. Answers: `errors` and `catalogue` (every code, and its page),
`views`, `fragments`, `context`, `bundles`, `forms`, `sheets`, `mail`; `headers` and `middleware` stand around them.
The admin API: `negotiation`, `parsing`, `bodies`, `paging`, `etags`, `openapi`, `unknown`. `sealing` keeps secrets,
`counters` reaches Redis, `gauges` are for operators.
"""
