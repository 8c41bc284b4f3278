"""Everything that an installation keeps, as (place, bytes), for whoever searches it."""

from urllib.parse import urlsplit

from redis import Redis


def tables_read(owner):
    """Every table, as COPY writes it; partitions are parts of theirs. `owner` is a connection of the owner's."""
    tables = owner.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema)'"
    ).fetchall()
    for schema, table in tables:
        with owner.cursor() as cursor, cursor.copy(f'COPY (SELECT * FROM "{schema}"."{table}") TO STDOUT') as copy:
            yield f"{schema}.{table}", b"".join(bytes(part) for part in copy)


def valkey_read(url):
    """Every key of all sixteen databases, with what it holds."""
    for number in range(16):
        with Redis.from_url(urlsplit(url)._replace(path=f"/{number}").geturl()) as redis:
            for key in redis.scan_iter(count=1_000):
                yield f"valkey {number} {key!r}", key + repr(_value(redis, key)).encode()


def files_read(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def _value(redis, key):
    match redis.type(key):
        case b"string":
            return redis.get(key)
        case b"hash":
            return redis.hgetall(key)
        case b"set":
            return redis.smembers(key)
        case b"list":
            return redis.lrange(key, 0, -1)
        case b"zset":
            return redis.zrange(key, 0, -1)
        case b"stream":
            return redis.xrange(key)
        case kind:
            raise AssertionError(f"{key!r} is a {kind!r}")
