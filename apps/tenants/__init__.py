"""Who there is: organisations, people, their places in them, and what they did.

`services` and `selectors` write and read tenants, users and the index of keys; `team` and `invitations` are what
members do to each other, by the one table of `permissions`. `access` opens the portal's pages, `staff` the staff's, and
`looking` lets staff see an organisation as one of its members. `principals` is how every view of the admin API begins,
whoever asks; `api` has this room's addresses.

`logins` is how people and programs show who they are, `privacy` what is kept of a tenant and how it goes. `audit` is
the part that lives in cells: a chain of entries for each tenant, written by the services of every room. `idempotency`
carries a POST out once.
"""
