"""What a counters' URL may look like, and that a wrong one is refused without showing its password."""

import pytest

from ratelimiter.store.address import Access, Node, Topology, address_parse, tls_context


@pytest.mark.parametrize(
    ("url", "topology", "nodes", "access", "service"),
    [
        ("redis://h", Topology.STANDALONE, [("h", 6379)], Access(), ""),
        ("redis://:p%40ss@h:1/3", Topology.STANDALONE, [("h", 1)], Access("", "p@ss", 3), ""),
        ("redis://u:p@[::1]:7/0", Topology.STANDALONE, [("::1", 7)], Access("u", "p"), ""),
        ("rediss://u:p@h", Topology.STANDALONE, [("h", 6379)], Access("u", "p", 0, tls=True), ""),
        ("rediss://h?ca=/ca.pem", Topology.STANDALONE, [("h", 6379)], Access(tls=True, authorities="/ca.pem"), ""),
        ("redis+sentinel://:p@a,b:5/main", Topology.SENTINEL, [("a", 26379), ("b", 5)], Access("", "p"), "main"),
        ("redis+sentinel://a/main/2", Topology.SENTINEL, [("a", 26379)], Access(database=2), "main"),
        ("redis+cluster://u:p@a:1,[::1]:2", Topology.CLUSTER, [("a", 1), ("::1", 2)], Access("u", "p"), ""),
        ("rediss+cluster://a,b/0", Topology.CLUSTER, [("a", 6379), ("b", 6379)], Access(tls=True), ""),
    ],
)
def test_a_url_says_what_stands_where(url, topology, nodes, access, service):
    address = address_parse(url)
    assert (address.topology, address.nodes) == (topology, tuple(Node(*node) for node in nodes))
    assert (address.access, address.service) == (access, service)


def test_sentinels_have_a_password_of_their_own():
    address = address_parse("rediss+sentinel://u:p@a/main?sentinel_user=s&sentinel_password=q&ca=x")
    assert address.sentinel_access == Access("s", "q", 0, tls=True, authorities="x")
    assert address_parse("redis+sentinel://:p@a/main").sentinel_access == Access()


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@h", "redis+://:secret@h", "redis+ring://:secret@h", "valkey://:secret@h", ":secret@h", "",
        "redis://:secret@", "redis://:secret@a,b", "redis://:secret@a:port", "redis://:secret@h:99999",
        "redis://:sec/ret@h", "redis://:secret@h/nought", "redis://:secret@h/0/1", "redis://:secret@[::1",
        "redis://:secret@h?db=1", "redis://:secret@h?ca=x", "redis://:secret@h?secret",
        "redis+sentinel://:secret@h", "redis+sentinel://:secret@h/main/secret", "redis+sentinel://:secret@,h/main",
        "redis+cluster://:secret@h/1", "redis+cluster://:secret@h?sentinel_password=secret",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_in_a_sentence_without_its_password(url):
    with pytest.raises(ValueError) as refusal:
        address_parse(url)
    assert "URL" in str(refusal.value) or "hosts" in str(refusal.value) or "database" in str(refusal.value)
    assert "sec" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_authorities_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no\.pem"):
        tls_context(address_parse(f"rediss://h?ca={tmp_path}/no.pem").access)
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ValueError, match=r"bad\.pem"):
        tls_context(address_parse(f"rediss://h?ca={tmp_path}/bad.pem").access)
