"""Who there is: organisations, people, their places in them, and what they did.

`services` and `selectors` write and read tenants, users and the index of keys; `team` and `invitations` are what
members do to each other, by the one table of `permissions`. `access` opens the portal's pages, `staff` the staff's.
`audit` is the part that lives in cells: a chain of entries for each tenant, written by the services of every room.
"""
