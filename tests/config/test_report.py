"""Problems are reported in one line each, with the nearest place that is known."""

from __future__ import annotations

import pytest

from sidecar.config.report import Place, Report, did_you_mean, quote, spell


def test_order_and_places():
    """By line; a path that stands nowhere takes the line of what is around it; without any, the
    first.
    """
    report = Report("f")
    report.note_place(("a",), Place(7, "x"))
    report.problem(("a", "b", 0), "second")
    report.problem(("z",), "first")
    report.problem((), "third", line=9)
    assert report.problems == ["f:1: z: first", "f:7: a.b[0]: second", "f:9: third"]
    assert (report.quoted(("a",)), report.quoted(("z",))) == ("'x'", "''")


def test_entries_without_a_file():
    """Items that no file lists, as with no config file, have their own positions."""
    assert list(Report("f").entries(("p",), ["x", "y"])) == [(("p", 0), "x"), (("p", 1), "y")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a", 0, "b", 1), "a[0].b[1]"),
        (("model_aliases", "gpt-4.1"), "model_aliases.gpt-4.1"),
        (("a", "x\ny"), "a.'x\\ny'"),
        (("", "b"), "''.b"),
        ((), ""),
    ],
)
def test_spell(path, expected):
    """A path is one line, whatever its keys hold."""
    assert expected == spell(path)


def test_quote_is_short():
    """What is quoted is cut where it is long."""
    assert len(quote("x" * 1000)) == 82


def test_did_you_mean():
    """A guess is made only where one is near."""
    assert (did_you_mean("prot", ["port"]), did_you_mean("xyz", ["port"])) == (
        "; did you mean 'port'?",
        "",
    )


def test_a_text_from_outside_is_known_by_its_place():
    """Of what was never noted nothing is known."""
    report = Report("f")
    report.note_place(("a",), Place(7, "$X"))
    report.note_expanded(("a",), is_from_outside=True)
    report.note_expanded(("b", 0), is_from_outside=True)
    report.note_expanded(("c",), is_from_outside=False)

    assert [True, True, False] == [report.is_from_outside(at) for at in (("a",), ("b", 0), ("c",))]
    assert (7, "'$X'") == (report.line_of(("a",)), report.quoted(("a",)))
