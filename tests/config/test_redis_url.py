"""A Redis URL says where, which database, and who; what it cannot say is reported without repeating
it.
"""

from __future__ import annotations

import pytest

from sidecar.config.address import RedisAddress, names_several_servers, read_redis_url
from sidecar.config.secret import Secret

ESCAPE = "; in a user or password @ : / ? # must be percent-encoded, or stand under username and password"
SEVERAL = "names several servers: redis+sentinel:// and redis+cluster:// do that"
SCHEMES = "must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://"
PLACE = "is not a URL with a valid host and port" + ESCAPE
DATABASE = "must end with the number of a database, or without a path" + ESCAPE
QUERY = "must not hold a query or fragment" + ESCAPE


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", RedisAddress("h", 6379, 0, False, None, None)),
        ("REDIS://h", RedisAddress("h", 6379, 0, False, None, None)),
        ("rediss://u:p%40%2f@h:7000/3", RedisAddress("h", 7000, 3, True, "u", Secret("p@/"))),
        ("redis://:p@h:7000/", RedisAddress("h", 7000, 0, False, None, Secret("p"))),
        ("redis://u@[::1]:7000", RedisAddress("::1", 7000, 0, False, "u", None)),
        ("redis:///2", RedisAddress("localhost", 6379, 2, False, None, None)),
    ],
)
def test_an_address(url, expected):
    """With what Redis takes for granted filled in."""
    assert expected == read_redis_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", SCHEMES),
        ("h:6379", SCHEMES),
        ("redis://", SCHEMES),
        ("redis:h", SCHEMES),
        ("http://h", SCHEMES),
        ("unix:///run/redis.sock", SCHEMES),
        ("redis://h:99999", PLACE),
        ("redis://h:0", PLACE),
        ("redis://h:bad/0", PLACE),
        ("redis://[::1/0", PLACE),
        ("redis://a b/0", PLACE),
        ("redis://u:s3/cret@h", PLACE),
        ("redis://u:12/s3cret@h", DATABASE),
        ("redis://:p@s3/cret@h:6379/0", DATABASE),
        ("redis://a,b:6379/0", SEVERAL),
        ("redis://u:p@a:1,b:2", SEVERAL),
        ("redis://u:1,s3@h:0", PLACE),
        ("redis://h/zero", DATABASE),
        ("redis://h/-1", DATABASE),
        ("redis://h/0/1", DATABASE),
        ("redis://h/0?ssl_cert_reqs=none", QUERY),
        ("redis://h#s3cret", QUERY),
    ],
)
def test_what_is_no_address(url, expected):
    """A password that was not escaped ends up in the wrong place: the sentence says so, and does
    not repeat it.
    """
    assert expected == read_redis_url(url)
    assert "s3" not in expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis+sentinel://a:1,b:2/m/0", True),
        ("REDIS+cluster://a", True),
        ("redis://a", False),
        ("redis+sentinel://", False),
    ],
)
def test_several_servers(url, expected):
    """Sentinel's and ProviderRegistry's URLs name more than one."""
    assert expected == names_several_servers(url)
