"""Patterns of operators: what can be, and what is said of the others."""

import pytest

from gateway.core.patterns import InvalidPattern, compiled, glob_problem


def test_expressions_are_for_texts_or_for_bytes():
    assert compiled("é+").search("caféé")
    assert compiled("é+".encode()).search("caféé".encode())


@pytest.mark.parametrize("wrong", ["(", "(?=a)", r"(a)\1", "a{9999}", "\ud800"])
def test_an_expression_that_can_not_be_compiled(wrong):
    with pytest.raises(InvalidPattern, match=r"\S"):
        compiled(wrong)


@pytest.mark.parametrize("glob", ["*", "github__*", "gpt-4?", "a[abc]b", "a[!b]", "[]]", "[[]x", "a]", "Ünï"])
def test_a_glob(glob):
    assert glob_problem(glob) is None


@pytest.mark.parametrize(
    "glob", ["", " ", " a", "a ", "a\nb", "a\u200bb", "a\ud800", "a[b", "[]", "[!]", "a[b]c["]
)
def test_a_glob_that_matches_nothing(glob):
    assert glob_problem(glob)


def test_a_glob_that_is_not_closed_says_where():
    assert "at character 6" in glob_problem("a[b]c[d")
