"""Who there is: organisations, people, their places in them, and what they did.

`services` and `selectors` write and read tenants, users and the index of keys; `team` and `invitations` are what
members do to each other, by the one table of `permissions`. `access` opens the portal's pages, `staff` the staff's.
`audit` is the part that lives in cells: a chain of entries for each tenant, written by the services of every room.

How people and programs show who they are: `factors` and `sessions` in the browser, `proving`, `tokens` and `signing`
for programs, `authentication` reads a token of theirs. `principals` is how every view of the admin API begins, whoever
asks, `idempotency` carries a POST out once, and `api` has this room's addresses. `looking` lets staff see an
organisation as one of its members.

What is kept of a tenant: rooms declare it in `holdings`, which all of these go by. `deletion` asks and takes back,
`erasing` removes everything, `exporting` and `archive` write it to a file, `resealing` brings it to the newest key.
"""
