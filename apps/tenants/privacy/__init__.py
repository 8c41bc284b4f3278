"""What is kept of a tenant, and how it goes.

Rooms declare in `holdings` what they keep, and all of these go by it: `deletion` asks and takes back, `erasing` removes
everything, `exporting` and `archive` write it to a file, `resealing` brings it to the newest key.
"""
