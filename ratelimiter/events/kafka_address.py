"""Where Kafka is, as a URL says it: `kafka://[user:password@]host[:port],…[?option=value&…]`.

Options are librdkafka's own that say how a broker is reached (`security.protocol`, `sasl.…`, `ssl.…` and the like).
What the promises of the bus stand on cannot be set. With a user the default is SASL_SSL with the mechanism PLAIN.
"""

from urllib.parse import parse_qsl, unquote, urlsplit

PORT = 9092

_OPTIONS = ("security.", "sasl.", "ssl.", "enable.ssl.", "https.", "socket.", "broker.", "client.", "reconnect.")


def kafka_options(url: str) -> dict[str, str]:
    """As librdkafka wants it. Raises ValueError with a sentence that shows no password. Touches nothing outside."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:  # whose own message may show parts of the password
        raise ValueError("the URL of the events cannot be read") from None
    if parts.scheme != "kafka" or parts.path.strip("/") or parts.fragment:
        raise ValueError("the URL of the events must look like kafka://host:port,host:port?option=value")
    for name in options:
        if not name.startswith(_OPTIONS):
            raise ValueError(f"“{name}” cannot be set in the URL of the events, only: {', '.join(_OPTIONS)}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    if credentials:
        user, _, password = credentials.partition(":")
        options = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": unquote(user),
            "sasl.password": unquote(password),
        } | options
    return {"bootstrap.servers": ",".join(_node(item) for item in hosts.split(","))} | options


def _node(text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or PORT
    except ValueError:
        host, port = "", PORT
    if not host:
        raise ValueError("the URL of the events must name its brokers as host[:port], separated by commas")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
