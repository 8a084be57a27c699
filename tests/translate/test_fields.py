"""Every field of the three APIs' requests is accounted for, as the installed SDKs have them: an SDK
release that adds one fails here until somebody decides what it means to lose it.
"""

from __future__ import annotations

import re

import pytest

from sidecar.translate.chat_fields import CHAT_FIELDS
from sidecar.translate.fields import LINES, TABLES, rows_of
from sidecar.translate.losses import Feature, Weight
from sidecar.translate.messages_fields import MESSAGES_FIELDS
from sidecar.translate.responses_fields import RESPONSES_FIELDS
from tests.translate.sdk_params import paths_of

APIS = list(TABLES)
_LAST = re.compile(r"(.*?)(?:\.[^.\[\]]+|\[[^\]]*\])")


def holds_others(path, rows):
    return any(row.startswith((f"{path}.", f"{path}[")) for row in rows)


def is_covered(path, rows):
    """Whether a row is the path's own, or of what it is inside; or rows of all that is inside it
    take its place.
    """
    if path in rows or (path.endswith("]") and holds_others(path, rows)):
        return True
    above = path
    while (inner := _LAST.fullmatch(above)) is not None:
        above = inner[1]
        if above in rows:
            return not holds_others(above, rows)
    return False


def test_the_table_has_a_part_for_each_api():
    """Each stands in a module of its own."""
    assert [CHAT_FIELDS, RESPONSES_FIELDS, MESSAGES_FIELDS] == list(LINES.values())


@pytest.mark.parametrize("api", APIS)
def test_every_field_of_the_sdk_is_in_the_table(api):
    """Also those inside others, to any depth."""
    rows = TABLES[api].rows

    assert [] == sorted(path for path in paths_of(api) if not is_covered(path, rows))


@pytest.mark.parametrize("api", APIS)
def test_every_row_names_a_field_of_the_sdk(api):
    """But for those that are said to be none of its own."""
    paths = paths_of(api)

    assert [] == [row.path for row in rows_of(LINES[api]) if (row.path in paths) != row.is_own]


@pytest.mark.parametrize("api", APIS)
def test_no_row_stands_twice(api):
    """The second would hide the first."""
    paths = [row.path for row in rows_of(LINES[api])]

    assert len(set(paths)) == len(paths)


def test_what_a_whole_feature_means_is_known_in_each_api():
    """A feature that a reader can find has a name there."""
    never = {
        "chat": {Feature.IS_ERROR},
        "responses": {Feature.IS_ERROR, Feature.STOP, Feature.TOP_K},
        "messages": {
            *(Feature.DETAIL, Feature.CACHE_KEY),
            *(Feature.VERBOSITY, Feature.OUTPUT_DESCRIPTION),
        },
    }

    assert never == {api: set(Feature) - set(table.named) for api, table in TABLES.items()}


def test_a_row_is_read_with_all_that_it_says():
    """Alternatives, conditions, and values without which nothing is lost."""
    rows = {
        row.path: row.fate
        for row in rows_of(
            """
            {a,b}[x|y].c carried or avoidable @stop
            d harmless = 1 "z"
            e shared or decisive
            ~f harmless = *
            """
        )
    }

    assert {"a[x].c", "a[y].c", "b[x].c", "b[y].c", "d", "e", "f"} == set(rows)
    assert (True, Weight.AVOIDABLE, Feature.STOP) == (
        rows["b[y].c"].is_carried,
        rows["b[y].c"].weight,
        rows["b[y].c"].feature,
    )
    assert frozenset((b"1", b'"z"')) == rows["d"].harmless_values
    assert (True, Weight.DECISIVE) == (rows["e"].is_shared, rows["e"].weight)
    assert rows["f"].harmless_values is None
