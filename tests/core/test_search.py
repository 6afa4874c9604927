"""What is new in a turn is found; what every turn repeats is not."""

import pytest

from gateway.core.adapter import OpaqueRequest, RequestAdapter
from gateway.core.search import folded, searchable, terms
from gateway.core.view import Completion, Message, Part, ReasoningDelta, TextDelta, ToolCallDelta

ROLES = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}


class Talk(RequestAdapter):
    """A message is a letter and a text."""

    history = ("talk",)
    read = 0

    def preamble(self):
        return [Message("system", (Part("text", "be brief"),))]

    @classmethod
    def parse_message(cls, element):
        Talk.read += 1
        said = element.decode().strip('"')
        return Message(ROLES[said[0]], (Part("tool_result" if said[0] == "t" else "text", said[1:]),))


def talk(*said):
    return Talk(('{"talk": ["' + '", "'.join(said) + '"]}').encode())


def answer(*events):
    completion = Completion()
    for event in events:
        completion.apply(event)
    return completion


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["uhello"], "be brief hello fine"),
        (["sold", "uhello"], "be brief old hello fine"),
        (["uone", "atwo", "uthree"], "three fine"),
        (["uone", "atwo", "tresult", "tanother", "uthree"], "result another three fine"),
        (["uone", "atwo", "aagain", "uthree"], "three fine"),
        # What the client writes of the answer itself belongs to it.
        (["uone", "atwo", "uthree", "aso"], "three so fine"),
        (["uone", "aso"], "be brief one so fine"),
        (["aso"], "be brief so fine"),
    ],
)
def test_what_is_new(said, found):
    assert searchable(talk(*said), answer(TextDelta("fine")), 1000).split("\n") == (
        ["be brief", *found.removeprefix("be brief ").split()] if "brief" in found else found.split()
    )


def test_what_is_searched_of_an_answer():
    completion = answer(
        ReasoningDelta("hidden"), TextDelta("I call"), ToolCallDelta(0, "call_1", "look", '{"at":"it"}')
    )
    assert searchable(OpaqueRequest(b"[1]"), completion, 1000) == 'I call\nlook\n{"at":"it"}'


def test_parts_without_text_are_not_searched():
    class Pictures(Talk):
        @classmethod
        def parse_message(cls, element):
            return Message(
                "user", (Part("image", "https://x"), Part("other", "{}", name="a.pdf"), Part("text"))
            )

    assert searchable(Pictures(b'{"talk": [1, 2]}'), Completion(), 1000) == "be brief"


def test_a_long_history_is_not_read():
    request = talk(*["uquestion", "aanswer"] * 500, "unews")
    Talk.read = 0
    assert searchable(request, answer(), 1000) == "news"
    assert Talk.read == 2


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        (1000, "be brief\nold\nnews\nanswer"),
        (15, "old\nnews\nanswer"),
        (13, "o\nnews\nanswer"),
        (12, "news\nanswer"),
        (8, "new\nansw"),
        (2, "an"),
        (0, ""),
    ],
)
def test_the_newest_stays_where_there_is_no_room(limit, found):
    text = searchable(talk("uold", "unews"), answer(TextDelta("answer")), limit)
    assert text == found
    assert len(text) <= limit


def test_a_short_answer_leaves_its_room_to_the_question():
    assert searchable(talk("u" + "q" * 50), answer(TextDelta("ok")), 20) == "q" * 17 + "\nok"


def test_no_character_that_a_database_refuses():
    assert "\0" not in searchable(talk("uhi"), answer(TextDelta("a\0b")), 100)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("STRASSE", "stra\u00dfe"),
        ("\u00c9T\u00c9", "e\u0301te\u0301"),
        ("\uff21\uff22\uff43", "abc"),
        ("of\ufb01ce", "OFFICE"),
        ("\u039f\u03a3 \u03c3", "\u03bf\u03c2\u00a0\u03c2"),
        ("\U00010400", "\U00010428"),
        ("  two\n\twords\u3000", "two words"),
        ("\u1fb3", "\u1fbc"),
    ],
)
def test_what_is_the_same_to_search(text, same):
    assert folded(text) == folded(same)


def test_accents_are_not_the_same():
    assert folded("resume") != folded("r\u00e9sum\u00e9")


def test_what_is_folded_stays_as_it_is():
    once = [folded(f"x{chr(each)}y") for each in range(0x30000) if not 0xD800 <= each < 0xE000]
    assert [folded(each) for each in once] == once


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        (" \n\u3000", []),
        ("One  two ONE", ["one", "two"]),
        ('"One  two" three', ["one two", "three"]),
        ('say "a b"c', ["say", '"a', 'b"c']),
        ('half "open', ["half", '"open']),
        ('"" "', ['""', '"']),
        ('{"city": "Oslo"}', ['{"city":', '"oslo"}']),
        ("100% a_b \\ '; --", ["100%", "a_b", "\\", "';", "--"]),
    ],
)
def test_what_is_looked_for(query, found):
    assert terms(query) == found
