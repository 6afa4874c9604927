"""Series as they are kept, against what Prometheus's own parser and library make of them."""

import prometheus_client
import pytest
from aioprometheus.collectors import Registry
from aioprometheus.formats.text import TextFormatter
from hypothesis import given
from hypothesis import strategies as st

from gateway.series import OTHER, Bounded, Counter, Gauge, Histogram, Tally
from tests.harness.scrape import Scrape

BUCKETS = (0.1, 0.5, 1.0)


def scrape(registry: Registry) -> Scrape:
    return Scrape(TextFormatter().marshall(registry).decode())


def test_counts_are_shown_by_their_labels():
    registry = Registry()
    counter = Counter(registry, "x_total", "Of x.", "a", "b")
    counter.series("1", "2").value += 3
    counter.series("1", "").value += 0.5
    counter.series("1", "2").value += 1
    shown = scrape(registry)
    assert shown.values("x_total", "b") == {"2": 4, "": 0.5}
    assert shown.families["x"].type == "counter"
    assert shown.families["x"].documentation == "Of x."


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", 'a\\"', "a\\n", "é 漢", "{}=,", "a\r\tb", "\x00"])
def test_any_text_may_be_a_label_value(text):
    registry = Registry()
    Counter(registry, "x_total", "Of x.", "a").series(text).value = 1
    assert scrape(registry).values("x_total", "a") == {text: 1}


def test_half_a_character_is_shown_as_its_escape():
    registry = Registry()
    Counter(registry, "x_total", "Of x.", "a").series("m\ud800").value = 1
    assert scrape(registry).values("x_total", "a") == {"m\\ud800": 1}


@given(st.lists(st.one_of(st.sampled_from((*BUCKETS, 0.0)), st.floats(0, 10)), min_size=1))
def test_a_distribution_is_what_the_reference_library_makes_of_it(values):
    registry = Registry()
    series = Histogram(registry, "x", "Of x.", "a", buckets=BUCKETS).series("1")
    theirs = prometheus_client.CollectorRegistry()
    reference = prometheus_client.Histogram("x", "Of x.", ["a"], registry=theirs, buckets=BUCKETS).labels("1")
    for value in values:
        series.observe(value)
        reference.observe(value)
    expected = Scrape(prometheus_client.generate_latest(theirs).decode())

    def read(shown: Scrape):
        return {
            (s.name, s.labels.get("le")): s.value for s in shown.samples if not s.name.endswith("_created")
        }

    assert read(scrape(registry)) == read(expected)


def test_a_distribution_of_nothing_is_not_shown():
    registry = Registry()
    Histogram(registry, "x", "Of x.", "a", buckets=BUCKETS).series("1")
    assert scrape(registry).samples == []


def test_what_others_keep_is_read_at_each_scrape():
    registry, kept = Registry(), {("a",): 1}
    Gauge(registry, "depth", "Of x.", lambda: len(kept))
    Tally(registry, "x_total", "Of x.", "state", read=lambda: kept)
    assert scrape(registry).total("depth") == 1
    kept.update({("a",): 5, ("b",): 2})
    shown = scrape(registry)
    assert shown.total("depth") == 2
    assert shown.values("x_total", "state") == {"a": 5, "b": 2}


def test_at_most_two_hundred_values_are_told_apart():
    bounded = Bounded()
    labels = [bounded(f"m-{n}") for n in range(10_000)]
    assert labels[:200] == [f"m-{n}" for n in range(200)]
    assert set(labels[200:]) == {OTHER}
    assert bounded("m-7") == "m-7"


def test_a_value_counts_anew_beside_another():
    bounded = Bounded()
    labels = [bounded("m", f"provider-{n}") for n in range(201)]
    assert labels == ["m"] * 200 + [OTHER]


def test_long_values_are_cut():
    bounded = Bounded()
    assert bounded("m" * 10_000_000) == bounded("m" * 128) == "m" * 128
