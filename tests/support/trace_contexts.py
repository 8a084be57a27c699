"""The cases of the W3C validation suite (w3c/trace-context, ``test/test.py``, strict level 2) by the
names of its tests, and cases that it leaves open.
"""

from __future__ import annotations

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
GOOD = f"00-{TRACE}-{PARENT}-00"

Raw = list[tuple[str, str]]


def parents(*values: str) -> Raw:
    return [("traceparent", value) for value in values]


def states(*values: str) -> Raw:
    return [("traceparent", GOOD), *(("tracestate", value) for value in values)]


KEPT = [
    ("traceparent_included_tracestate_missing", parents(f"00-{TRACE}-{PARENT}-01")),
    ("traceparent_header_name_valid_casing", [("TraceParent", f"00-{TRACE}-{PARENT}-01")]),
    ("traceparent_header_name_valid_casing", [("TrAcEpArEnT", f"00-{TRACE}-{PARENT}-01")]),
    ("traceparent_header_name_valid_casing", [("TRACEPARENT", f"00-{TRACE}-{PARENT}-01")]),
    ("traceparent_version_0xcc", parents(f"cc-{TRACE}-{PARENT}-01")),
    ("traceparent_version_0xcc", parents(f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like")),
    ("traceparent_version_0xcc", parents(f"cc-{TRACE}-{PARENT}-01-")),
    ("traceparent_ows_handling", parents(f" 00-{TRACE}-{PARENT}-01")),
    ("traceparent_ows_handling", parents(f"\t00-{TRACE}-{PARENT}-01")),
    ("traceparent_ows_handling", parents(f"00-{TRACE}-{PARENT}-01 ")),
    ("traceparent_ows_handling", parents(f"00-{TRACE}-{PARENT}-01\t")),
    ("traceparent_ows_handling", parents(f"\t 00-{TRACE}-{PARENT}-01 \t")),
]

RESTARTED = [
    ("both_traceparent_and_tracestate_missing", []),
    ("traceparent_duplicated", parents(f"00-{TRACE[:-1]}1-{PARENT}-01", f"00-{TRACE}-{PARENT}-01")),
    ("traceparent_duplicated, equal", parents(GOOD, GOOD)),
    ("traceparent_header_name", [("trace-parent", GOOD)]),
    ("traceparent_header_name", [("trace.parent", GOOD)]),
    ("traceparent_version_0x00", parents(f"00-{TRACE}-{PARENT}-01.")),
    ("traceparent_version_0x00", parents(f"00-{TRACE}-{PARENT}-01-what-the-future-will-be-like")),
    ("traceparent_version_0xcc", parents(f"cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like")),
    ("traceparent_version_0xff", parents(f"ff-{TRACE}-{PARENT}-01")),
    ("traceparent_version_illegal_characters", parents(f".0-{TRACE}-{PARENT}-01")),
    ("traceparent_version_illegal_characters", parents(f"0.-{TRACE}-{PARENT}-01")),
    ("traceparent_version_too_long", parents(f"000-{TRACE}-{PARENT}-01")),
    ("traceparent_version_too_long", parents(f"0000-{TRACE}-{PARENT}-01")),
    ("traceparent_version_too_short", parents(f"0-{TRACE}-{PARENT}-01")),
    ("traceparent_trace_id_all_zero", parents(f"00-{'0' * 32}-{PARENT}-01")),
    ("traceparent_trace_id_illegal_characters", parents(f"00-.{TRACE[1:]}-{PARENT}-01")),
    ("traceparent_trace_id_illegal_characters", parents(f"00-{TRACE[:-1]}.-{PARENT}-01")),
    ("traceparent_trace_id_too_long", parents(f"00-{TRACE}3-{PARENT}-01")),
    ("traceparent_trace_id_too_short", parents(f"00-{TRACE[:-1]}-{PARENT}-01")),
    ("traceparent_parent_id_all_zero", parents(f"00-{TRACE}-{'0' * 16}-01")),
    ("traceparent_parent_id_illegal_characters", parents(f"00-{TRACE}-.{PARENT[1:]}-01")),
    ("traceparent_parent_id_illegal_characters", parents(f"00-{TRACE}-{PARENT[:-1]}.-01")),
    ("traceparent_parent_id_too_long", parents(f"00-{TRACE}-{PARENT}7-01")),
    ("traceparent_parent_id_too_short", parents(f"00-{TRACE}-{PARENT[:-1]}-01")),
    ("traceparent_trace_flags_illegal_characters", parents(f"00-{TRACE}-{PARENT}-.0")),
    ("traceparent_trace_flags_illegal_characters", parents(f"00-{TRACE}-{PARENT}-0.")),
    ("traceparent_trace_flags_too_long", parents(f"00-{TRACE}-{PARENT}-001")),
    ("traceparent_trace_flags_too_short", parents(f"00-{TRACE}-{PARENT}-1")),
    ("tracestate_included_traceparent_missing", [("tracestate", "foo=1")]),
    ("tracestate_included_traceparent_missing", [("tracestate", "foo=1,bar=2")]),
    ("upper case", parents(f"00-{'A' * 32}-{PARENT}-01")),
    ("upper case", parents(f"00-{TRACE}-{'A' * 16}-01")),
    ("upper case", parents(f"CC-{TRACE}-{PARENT}-01")),
    ("empty", parents("")),
    ("digits of another script", parents(f"00-{TRACE}-{PARENT}-0\xb2")),
]

ALL_KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
ALL_VALUE_CHARACTERS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
THIRTY_TWO = [f"bar{number:02}={number:02}" for number in range(1, 33)]

INHERITED = [
    ("tracestate_included_traceparent_included", ["foo=1,bar=2"], "foo=1,bar=2"),
    ("tracestate_empty_header", [""], ""),
    ("tracestate_empty_header", ["foo=1", ""], "foo=1"),
    ("tracestate_empty_header", ["", "foo=1"], "foo=1"),
    ("empty members", ["foo=1,, ,bar=2,"], "foo=1,bar=2"),
    (
        "tracestate_multiple_headers_different_keys",
        ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        "foo=1,bar=2,rojo=1,congo=2,baz=3",
    ),
    ("tracestate_all_allowed_characters", [f"{ALL_KEY_CHARACTERS}={ALL_VALUE_CHARACTERS}"], None),
    (
        "tracestate_all_allowed_characters",
        [f"{ALL_KEY_CHARACTERS}@a-z0-9_-*/={ALL_VALUE_CHARACTERS}"],
        None,
    ),
    ("tracestate_ows_handling", ["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
    ("tracestate_ows_handling", ["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
    *(
        ("tracestate_ows_handling", [text], "foo=1")
        for text in (" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t")
    ),
    # Since w3c/trace-context#584 an at sign is a character like others, but not the first.
    ("tracestate_key_illegal_vendor_format", ["foo@=1,bar=2"], "foo@=1,bar=2"),
    ("tracestate_key_illegal_vendor_format", ["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2"),
    (
        "tracestate_member_count_limit",
        [",".join(THIRTY_TWO[:20]), ",".join(THIRTY_TWO[20:])],
        ",".join(THIRTY_TWO),
    ),
    ("tracestate_key_length_limit", ["foo=1", "z" * 256 + "=1"], "foo=1," + "z" * 256 + "=1"),
    (
        "tracestate_key_length_limit",
        ["foo=1", "t" * 241 + "@" + "v" * 14 + "=1"],
        "foo=1," + "t" * 241 + "@" + "v" * 14 + "=1",
    ),
    ("value length", ["foo=" + "v" * 256], "foo=" + "v" * 256),
    ("blank inside a value", ["foo=a b"], "foo=a b"),
    ("key starts with a digit", ["1a=1"], "1a=1"),
]

DISCARDED = [
    ("tracestate_duplicated_keys", ["foo=1,foo=1"]),
    ("tracestate_duplicated_keys", ["foo=1,foo=2"]),
    ("tracestate_duplicated_keys", ["foo=1", "foo=1"]),
    ("tracestate_duplicated_keys", ["foo=1", "foo=2"]),
    ("tracestate_key_illegal_characters", ["foo =1"]),
    ("tracestate_key_illegal_characters", ["FOO=1"]),
    ("tracestate_key_illegal_characters", ["foo.bar=1"]),
    ("tracestate_key_illegal_vendor_format", ["@foo=1,bar=2"]),
    ("tracestate_member_count_limit", [",".join([*THIRTY_TWO, "bar33=33"])]),
    ("tracestate_key_length_limit", ["foo=1", "z" * 257 + "=1"]),
    ("tracestate_value_illegal_characters", ["foo=bar=baz"]),
    ("tracestate_value_illegal_characters", ["foo=,bar=3"]),
    ("value length", ["foo=" + "v" * 257]),
    ("not ASCII", ["foo=\xe9"]),
    ("tab inside a value", ["foo=a\tb"]),
    ("no value", ["foo"]),
]

MISNAMED = ["trace-state", "trace.state"]
"""Names that are not read: `tracestate_header_name`."""
NAMED = ["TraceState", "TrAcEsTaTe", "TRACESTATE"]
"""Names that are: `tracestate_header_name_valid_casing`."""
