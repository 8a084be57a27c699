"""Counters and histograms count as the library's own do."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from sidecar.telemetry.families import CounterFamily, HistogramFamily

BOUNDS = (0.1, 0.5, 1.0, 10.0)


@given(st.lists(st.floats(min_value=0, max_value=1000), max_size=50))
def test_buckets_agree_with_the_librarys_own_histogram(values):
    """The same observations give the same cumulative counts as prometheus_client's Histogram."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    series = HistogramFamily(ours, "h", "help", (), BOUNDS).with_labels()
    reference = Histogram("h", "help", buckets=BOUNDS, registry=theirs)
    for value in values:
        series.observe(value)
        reference.observe(value)

    for name in ("h_bucket", "h_count"):
        for bound in ("0.1", "0.5", "1.0", "10.0", "+Inf"):
            labels = {"le": bound} if name == "h_bucket" else {}
            assert theirs.get_sample_value(name, labels) == ours.get_sample_value(name, labels)
    assert math.isclose(
        theirs.get_sample_value("h_sum") or 0.0, ours.get_sample_value("h_sum") or 0.0
    )


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_counters_agree_with_the_librarys_own(values):
    """One series for each label value that was counted, and none for the others."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = CounterFamily(ours, "c", "help", ("label",))
    reference = Counter("c", "help", ("label",), registry=theirs)
    for value in values:
        family.with_labels(value).value += 1
        reference.labels(value).inc()

    for value in "abc":
        labels = {"label": value}
        assert theirs.get_sample_value("c_total", labels) == ours.get_sample_value(
            "c_total", labels
        )


def test_a_series_is_made_once():
    """Observers keep it; whoever asks again gets the same one."""
    registry = CollectorRegistry()
    counter = CounterFamily(registry, "c", "help", ("a", "b"))
    histogram = HistogramFamily(registry, "h", "help", ("a",), BOUNDS)

    assert counter.with_labels("x", "y") is counter.with_labels("x", "y")
    assert counter.with_labels("x", "y") is not counter.with_labels("y", "x")
    assert histogram.with_labels("x") is histogram.with_labels("x")


def test_a_counter_is_summed_over_the_labels_that_are_not_asked_for():
    """By one label, by several in any order, and by none."""
    counter = CounterFamily(CollectorRegistry(), "c", "help", ("a", "b"))
    for values, count in ((("x", "1"), 2), (("x", "2"), 3), (("y", "1"), 4)):
        counter.with_labels(*values).value += count

    assert {("x",): 5, ("y",): 4} == counter.sums("a")
    assert {("1", "x"): 2, ("2", "x"): 3, ("1", "y"): 4} == counter.sums("b", "a")
    assert {(): 9} == counter.sums()


def test_a_histogram_is_summed_bucket_by_bucket():
    """What is beyond the last bound stands behind it; without a series there is no sum."""
    histogram = HistogramFamily(CollectorRegistry(), "h", "help", ("a", "b"), (1.0, 2.0))
    assert {} == histogram.sums()
    for values, number in ((("x", "1"), 0.5), (("x", "2"), 3.0), (("y", "1"), 1.5)):
        histogram.with_labels(*values).observe(number)

    assert {("x",): [1, 0, 1], ("y",): [0, 1, 0]} == histogram.sums("a")
    assert {(): [1, 1, 1]} == histogram.sums()
