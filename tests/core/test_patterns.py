"""Patterns of operators: what can be, and what is said of the others."""

import random
from fnmatch import fnmatchcase

import pytest

from gateway.core.patterns import Globs, InvalidPattern, TooLarge, compiled, glob_problem


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


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("*", ["", "a", "a\nb", "größe", "\ud800"], []),
        ("a*", ["a", "ab"], ["ba", ""]),
        ("a?c", ["abc", "aßc"], ["ac", "abbc"]),
        ("[ab]x", ["ax", "bx"], ["cx", "[ab]x"]),
        ("[!ab]x", ["cx"], ["ax", "x"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("[]]", ["]"], ["a"]),
        ("[!]]", ["a"], ["]"]),
        ("[[]", ["["], ["a"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[z-a]", ["[z-a]"], ["b"]),
        ("a[", ["a["], ["a"]),
        ("a.b+(c)|d", ["a.b+(c)|d"], ["axb"]),
        (r"a\b", [r"a\b"], ["ab"]),
    ],
)
def test_globs(glob, matching, others):
    globs = Globs(["never", glob])
    for text in matching:
        assert globs.matching(text) == [1], text
    for text in others:
        assert globs.matching(text) == [], text


def test_no_globs_match_nothing():
    assert Globs([]).matching("a") == []


def test_thousands_of_globs_match_what_each_does():
    parts = ("*", "?", "a", "b", "_", "[ab]", "[!a]", "__", "tool")
    chance = random.Random(1)
    globs = ["".join(chance.choices(parts, k=chance.randrange(1, 9))) for _ in range(3000)]
    many = Globs(globs)
    for _ in range(200):
        text = "".join(chance.choices(("a", "b", "_", "tool", "x"), k=chance.randrange(0, 12)))
        assert sorted(many.matching(text)) == [n for n, glob in enumerate(globs) if fnmatchcase(text, glob)]
