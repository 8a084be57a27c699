"""YAML is read with its lines, within bounds, and nothing but YAML 1.2."""

from __future__ import annotations

import pytest

from sidecar.config.yaml_nodes import Mapping, Node, Scalar, Sequence, Unreadable, read_document


def plain(node: Node | None) -> object:
    """A node as Python values."""
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {entry.key: plain(entry.value) for entry in node.entries}
    return None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [x, 'y']\n", {"a": "1", "b": ["x", "y"]}),
        ("a: &x {k: v}\nb: *x\n", {"a": {"k": "v"}, "b": {"k": "v"}}),
        (
            "a: &x {k: v, l: w}\nb: {<<: *x, k: own}\n",
            {"a": {"k": "v", "l": "w"}, "b": {"k": "own", "l": "w"}},
        ),
        ("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", {"a": "1", "b": "1", "c": "2", "d": "2"}),
        ("a: {<<: [{k: 1}, {k: 2, m: 3}]}\n", {"a": {"k": "1", "m": "3"}}),
        ("a: {'<<': 1}", {"a": {"<<": "1"}}),
        ("", None),
        ("# nothing\n", None),
        ("a: !!str 5", {"a": "5"}),
        ("a: ! 5", {"a": "5"}),
    ],
)
def test_reads(text, expected):
    """Scalars stay text; aliases and merge keys are followed; a key beside a merge wins, then the
    earlier mapping.
    """
    document = read_document(text)
    assert (expected, ()) == (plain(document.root), document.problems)


def test_lines():
    """Every key and value knows the line on which it begins."""
    root = read_document("a: 1\nb:\n  - x\n  - c: 2\n").root
    assert isinstance(root, Mapping)
    items = root.entries[1].value
    assert isinstance(items, Sequence)
    assert [
        root.entries[0].line,
        root.entries[1].line,
        items.items[0].line,
        items.items[1].line,
    ] == [1, 2, 3, 4]


def test_quoted_is_not_plain():
    """Only a scalar without quotes and tag has a type by its looks."""
    root = read_document("- a\n- 'a'\n- \"a\"\n- !!str a\n- |\n  a\n").root
    assert isinstance(root, Sequence)
    assert [item.is_plain for item in root.items if isinstance(item, Scalar)] == [
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [(3, "key 'a' stands twice; first on line 1")]),
        ("a: {b: 1,\n b: 2}\n", [(2, "key 'b' stands twice; first on line 1")]),
        ("? [a]\n: 1\n", [(1, "a key must be a single value")]),
        ("a: !!python/object:os.system x\n", [(1, "tags are not used here")]),
        ("a: !!set {x}\n", [(1, "tags are not used here")]),
        ("a: !t [x]\n", [(1, "tags are not used here")]),
        ("a: {<<: 1}\n", [(1, "a merge key needs a mapping, or a list of mappings")]),
        ("a: {<<: [{b: 1}, 2]}\n", [(1, "a merge key needs a mapping, or a list of mappings")]),
    ],
)
def test_reports_and_goes_on(text, expected):
    """What is wrong with one key is reported with its line, and the rest is read all the same."""
    assert expected == list(read_document(text).problems)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: *x", 1, "an alias has no anchor before it"),
        ("a: &x\n  - *x", 2, "an alias refers to what it is part of"),
        ("a: &x {b: &y {c: *x}}", 1, "an alias refers to what it is part of"),
        ("a: &x [1]\nb: &x\n  - *x", 3, "an alias refers to what it is part of"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here; only one is read"),
        ("a: \x07", 1, "not YAML: it holds control characters"),
        ("[" * 33 + "]" * 33, 1, "nested deeper than 32 levels"),
        ("[" * 34 + "]" * 34, 1, "nested deeper than 32 levels"),
        ("- " * 34 + "x", 1, "nested deeper than 32 levels"),
    ],
)
def test_unreadable(text, line, message):
    """What cannot be read ends the reading with its line."""
    with pytest.raises(Unreadable) as caught:
        read_document(text)
    assert (line, message) == (caught.value.line, caught.value.message)


def test_what_is_not_yaml_is_told_in_the_parsers_words():
    """They differ between libyaml, PyYAML and their versions; the line and the beginning do not."""
    with pytest.raises(Unreadable, match=r"^not YAML: .*expected") as caught:
        read_document("a: [1\nb: 2")
    assert 2 == caught.value.line


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000, "{a: " * 200_000, "[" * 500])
def test_any_depth_ends_the_reading_and_not_the_process(text):
    """Libyaml bounds what it looks at as well, in words of its own."""
    with pytest.raises(Unreadable, match=r"nested deeper than 32 levels|^not YAML: ") as caught:
        read_document(text)
    assert 1 == caught.value.line


def test_a_value_may_stand_in_the_deepest_list():
    """It is the nesting of lists and mappings that is bounded."""
    assert () == read_document("[" * 32 + "x" + "]" * 32).problems


def test_billion_laughs():
    """Aliases of aliases cannot grow beyond the bound, and finding that out is quick."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
    )
    with pytest.raises(Unreadable) as caught:
        read_document(laughs)
    assert (caught.value.line, caught.value.message) == (
        5,
        "holds more than 50000 values once aliases are followed",
    )


def test_with_value_and_without():
    """A mapping is changed by making another one; order and lines stay."""
    root = read_document("a: 1\nb: 2\n").root
    assert isinstance(root, Mapping)
    new = Scalar(9, "x", is_plain=False)
    assert plain(root.with_value("a", new)) == {"a": "x", "b": "2"}
    assert plain(root.with_value("c", new)) == {"a": "1", "b": "2", "c": "x"}
    assert plain(root.without("a")) == {"b": "2"}
