"""How descriptors are divided: the ports of pages leave the data port its own."""

from __future__ import annotations

import pytest

from sidecar.runtime.descriptors import BESIDE, DescriptorShares, descriptor_shares


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (2304, DescriptorShares(64, 1056)),
        (1024, DescriptorShares(64, 416)),
        (256, DescriptorShares(16, 80)),
        (100, DescriptorShares(8, 10)),
        (10, DescriptorShares(8, 8)),
        (0, DescriptorShares(8, 8)),
        (-1, DescriptorShares(64, 524_192)),
        (1 << 40, DescriptorShares(64, 524_192)),
    ],
)
def test_each_listener_has_its_share(limit, expected):
    """Small limits have small pages, no limit has the kernel's."""
    assert expected == descriptor_shares(limit)


@pytest.mark.parametrize("limit", [100, 128, 1000, 65_536])
def test_the_shares_together_are_no_more_than_there_are(limit):
    """A call counts twice, both kinds of pages have their own."""
    shares = descriptor_shares(limit)

    assert BESIDE + 2 * shares.pages + 2 * shares.calls <= limit
