"""Which names of tools are alike, and which nobody should trust."""

import time

import pytest

from gateway.core.tool_names import ByTool, far_forms, folded, is_readable, is_usual, near_forms, shown


class For:
    def __init__(self, tool, *, guards=True):
        self.tool = tool
        self.guards = guards


def ruled(name, *tools, guards=True):
    return [rule.tool for rule in ByTool([For(tool, guards=guards) for tool in tools]).of(name)]


@pytest.mark.parametrize(
    ("name", "tool", "alike"),
    [
        ("bash", "bash", True),
        ("BASH", "bash", True),
        ("bash", "Bash", True),
        ("\uff42\uff41\uff53\uff48", "bash", True),
        ("ﬁle", "file", True),
        ("Straße", "STRASSE", True),
        ("b\u0430sh", "bash", False),  # a Cyrillic letter: another name, and an unusual one
        ("bash2", "bash", False),
        ("mybash", "bash", False),
        ("mcp__shell__bash", "bash", True),
        ("MCP__Shell__Bash", "bash", True),
        ("mcp__a__mcp__b__bash", "bash", True),
        ("mcp__a__mcp__b__bash", "mcp__b__bash", True),
        ("mcp__shell__bash", "mcp__shell__bash", True),
        ("mcp__shell__bash", "mcp__other__bash", False),
        ("mcp__shell__bash", "mcp__shell__*", True),
        ("bash", "mcp__shell__bash", False),
        ("mcp__shell__", "", False),
        ("mcp__", "bash", False),
        ("github__create_issue", "github__*", True),
        ("GitHub__create_issue", "github__*", True),
        ("github_create", "github__*", False),
        ("anything at all", "*", True),
        ("", "*", True),
        ("a\nb", "a*", True),
        ("send_mail", "send_????", True),
        ("send_email", "send_????", False),
        ("read1", "read[0-9]", True),
        ("a[b", "a[[]b", True),
    ],
)
def test_alike(name, tool, alike):
    assert ruled(name, tool) == [tool] * alike


def test_rules_keep_their_order_whether_they_are_names_or_globs():
    assert ruled("mcp__x__bash", "*", "bash", "b*", "zsh", "mcp__*", "BASH") == [
        "*",
        "bash",
        "b*",
        "mcp__*",
        "BASH",
    ]


def test_any_number_of_made_up_names_takes_no_memory():
    rules = ByTool([For("a*")])
    for number in range(20_000):
        assert len(rules.of(f"a{number}")) == 1
    assert len(rules._known) <= 4096
    rules.of("a" * 100_000)
    assert max(map(len, rules._known)) <= 256


def test_long_names_and_many_globs_take_no_time():
    rules = ByTool([For(f"*{number}*a*b*c") for number in range(500)])
    started = time.process_time()
    for number in range(100):
        rules.of("mcp__a__" * 50_000 + str(number))
        rules.of(f"{number}" + "mcp__ab__" * 28)
    assert time.process_time() - started < 5


def test_a_name_that_no_client_reads_otherwise():
    for name in ("bash", "a.b", "a:b", "a-b_c", "default_api:read", "x" * 128, "mcp__a__b", "ns/tool"):
        assert is_usual(name), name
    for name in ("", " bash", "bash ", "ba sh", "b\0", "b\u0430sh", "b\u200dash", "x" * 129, "a\n", "\ud800"):
        assert not is_usual(name), name
    for name in ("lire fichier", "文件读取", "größe"):
        assert is_readable(name), name
    for name in ("", "b\u200dash", "b\u202eash", "b\0", "a\n", "\ud800", "x" * 257):
        assert not is_readable(name), name


def test_forms_and_folding():
    assert near_forms("MCP__S__T") == far_forms("MCP__S__T") == ("mcp__s__t", "t")
    assert near_forms("mcp__a__b__c") == ("mcp__a__b__c", "b__c")
    assert far_forms("mcp__a__b__c") == ("mcp__a__b__c", "b__c", "c")
    assert near_forms("mcp__a__mcp__b__c") == ("mcp__a__mcp__b__c",)
    assert far_forms("mcp__a__mcp__b__c") == ("mcp__a__mcp__b__c", "mcp__b__c", "b__c", "c")
    assert near_forms("a__b") == far_forms("a__b") == ("a__b",)
    assert ruled("mcp__a__b__c", "c", guards=True) == ["c"]
    assert ruled("mcp__a__b__c", "c", guards=False) == []
    assert ruled("mcp__a__c", "c", guards=False) == ["c"]
    assert folded("\uff22\uff21\uff33\uff28") == folded("bash") == "bash"


def test_a_name_in_a_sentence():
    assert shown("bash") == "bash"
    assert shown("a\nb\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert shown("x" * 100) == "x" * 64 + "…"
    assert shown("") == "(without a name)"
