"""Patterns of operators: what can be, and what is said of the others."""

import pytest

from gateway.core.patterns import InvalidPattern, TooLarge, compiled, glob_problem


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


def test_parentheses_only_group():
    assert compiled(r"(a)(b)").groups == 0
    assert compiled(rb"(a)b").sub(b"-", b"xabx") == b"x-x"


@pytest.mark.parametrize(
    ("large", "said"),
    [
        ("a" * 20_001, "20,001 characters"),
        (b"a" * 20_001, "20,001 characters"),
        ("a{1000}" * 11, "11,00. instructions"),
        (r"\PN{1000}", "it "),
        (r"(\pL{1,100}){1,10}", "repeats too much"),
    ],
)
def test_an_expression_that_would_take_too_long(large, said):
    with pytest.raises(TooLarge, match=said):
        compiled(large)


def test_a_list_of_many_words_is_not_too_large():
    assert compiled("|".join(f"word{number}" for number in range(1500))).search("a word1499")
