"""The chart's named templates are written from the parts."""

from __future__ import annotations

from deploy.pod.chart_template import PLACEHOLDERS, TEMPLATE, template


def test_writing_the_templates_anew_changes_nothing():
    """`python -m deploy.pod.chart_template` writes them."""
    assert template() == TEMPLATE.read_text()


def test_every_option_is_an_expression():
    """No placeholder is left, and each option's expression is there."""
    text = template()

    assert [] == [each for each in PLACEHOLDERS if each.text in text]
    assert [] == [
        each
        for each in PLACEHOLDERS
        if each.expression.strip("{- }").partition("| nindent")[0].strip() not in text
    ]
