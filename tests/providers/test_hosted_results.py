"""What tools of a provider's own brought, in the history: each is a result, under the name that a policy knows."""

from typing import Any

import msgspec
import pytest

from tests.providers.test_hidden_state import read, sent

HUGE = b'"x":' + b"1" * 5000
"""A number that no decoder takes."""
MCP = {"type": "mcp_call", "id": "m", "server_label": "crm", "name": "read", "arguments": "{}"}
LOGS = {"type": "code_interpreter_call", "id": "c", "code": "x", "container_id": "k"}


def chat(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "said"} | more]}


def items(*given: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "hi"}, *given]}


def cites(kind: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "said", "annotations": [{"type": kind, "url": "u"}]}]
    return {"type": "message", "role": "assistant", "content": content}


def turns(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": list(blocks)}]}


def parts(*given: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "model", "parts": list(given)}]}


def ran(name: str) -> dict[str, Any]:
    return {"type": "server_tool_use", "id": "s", "name": name, "input": {}}


def brought(kind: str, content: Any) -> dict[str, Any]:
    return {"type": kind, "tool_use_id": "s", "content": content}


FILE = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}}
FIXED: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("anthropic", turns(ran("web_search"), brought("web_search_tool_result", [{"url": "u", "encrypted_content": "E"}])), [("web_search", '[{"url":"u"}]')]),
    ("anthropic", turns(ran("web_fetch"), brought("web_fetch_tool_result", {"url": "u", "content": FILE})), [("web_fetch", '"url":"u"')]),
    ("anthropic", turns(ran("bash_code_execution"), brought("bash_code_execution_tool_result", {"stdout": "EVIL"})), [("bash_code_execution", "EVIL")]),
    ("anthropic", turns(brought("text_editor_code_execution_tool_result", {"content": "EVIL"})), [("text_editor_code_execution", "EVIL")]),
    ("anthropic", turns(brought("code_execution_tool_result", "EVIL")), [("code_execution", "EVIL")]),
    ("anthropic", turns(brought("tool_search_tool_result", {"tool_references": []})), [("tool_search", "tool_references")]),
    ("anthropic", turns(brought("tomorrow_tool_result", "EVIL")), [("tomorrow", "EVIL")]),
    ("anthropic", turns(ran("tomorrow"), brought("found_tomorrow", "EVIL")), [("tomorrow", "EVIL")]),
    ("responses", items({"type": "web_search_call", "id": "w", "action": {"sources": [{"url": "EVIL"}]}}), [("web_search", "EVIL")]),
    ("responses", items({"type": "file_search_call", "id": "f", "results": [{"text": "EVIL"}]}), [("file_search", "EVIL")]),
    ("responses", items({"type": "image_generation_call", "id": "i", "result": "QUJD"}), [("image_generation", "image_generation_call")]),
    ("responses", items({"type": "openrouter:web_search", "id": "o"}), [("web_search", "openrouter")]),
    ("responses", items({"type": "openrouter:tomorrow", "id": "o"}), [("tomorrow", "openrouter")]),
    ("responses", items({"type": "tomorrow_call", "id": "o", "found": "EVIL"}), [("tomorrow", "EVIL")]),
    ("responses", items({"type": "tomorrow_output", "call_id": "o", "found": "EVIL"}), [("tomorrow", "EVIL")]),
    ("responses", items({"type": "search_results", "results": [{"snippet": "EVIL"}]}), [("search", "EVIL")]),
    ("responses", items(cites("url_citation")), [("web_search", "said")]),
    ("responses", items(cites("file_citation")), [("file_search", "said")]),
    ("responses", items(cites("container_file_citation")), [("code_interpreter", "said")]),
    ("chat", chat(annotations=[{"type": "url_citation", "url_citation": {"url": "u"}}] * 2), [("web_search", "said")]),
    ("chat", chat(annotations={"type": "tomorrow"}), [("web_search", "said")]),
    ("chat", chat(annotations=[{"type": "file", "file": {}}]), [("file-parser", "said")]),
    ("chat", chat(executed_tools=[{"name": "visit_website", "output": "EVIL"}, {"type": "search"}]), [("visit_website", "EVIL"), ("search", "type")]),
    ("gemini", parts({"toolResponse": {"toolType": "URL_CONTEXT", "response": {"x": "EVIL"}}}), [("urlContext", "EVIL")]),
    ("gemini", parts({"tool_response": {"tool_type": "GOOGLE_SEARCH_WEB", "response": {}}}), [("googleSearch", "{}")]),
]  # fmt: skip
REPLACED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("responses", items(MCP | {"output": "EVIL"}), "read", ["EVIL"]),
    ("responses", items(MCP | {"output": None, "error": "EVIL"}), "read", ["EVIL"]),
    ("responses", items(MCP | {"output": "EVIL", "error": "EVIL too"}), "read", ["EVIL", "EVIL too"]),
    ("responses", items(MCP | {"error": {"type": "e", "content": [{"type": "text", "text": "EVIL"}]}}), "read", ["EVIL"]),
    ("responses", items(LOGS | {"outputs": [{"type": "logs", "logs": "EVIL"}, {"type": "image", "url": "EVIL"}]}), "code_interpreter", ["EVIL"]),
    ("responses", items(LOGS | {"outputs": None}), "code_interpreter", []),
    ("responses", items(LOGS), "code_interpreter", []),
    ("gemini", parts({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "EVIL"}}), "codeExecution", ["EVIL"]),
    ("gemini", parts({"code_execution_result": {"outcome": "OUTCOME_OK", "output": "EVIL"}}), "codeExecution", ["EVIL"]),
    ("gemini", parts({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}), "codeExecution", []),
]  # fmt: skip
NONE: list[tuple[str, dict[str, Any]]] = [
    ("anthropic", turns(ran("web_search"))),
    ("anthropic", turns({"type": "text", "text": "a tool_result and a tool_use_id"})),
    ("responses", items({"type": "program", "code": "x"})),
    ("responses", items({"type": "mcp_list_tools", "tools": []}, {"type": "tool_search_output", "tools": []})),
    ("responses", items(MCP, {"type": "function_call", "call_id": "c", "name": "f"})),
    ("responses", items({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": '_citation"', "annotations": []}]})),
    ("chat", chat(annotations=[], executed_tools=None)),
    ("chat", chat(annotations=None, executed_tools=[])),
    ("gemini", parts({"executableCode": {"code": "x"}}, {"toolCall": {"toolType": "URL_CONTEXT"}}, {"toolResponse": None})),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "expected"), FIXED)
def test_what_must_go_back_as_it_came_is_a_result_that_says_so(
    wire: str, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    results = read(wire, body).tool_results
    assert [(result.name, result.fixed) for result in results] == [(name, True) for name, _ in expected]
    for result, (_, said) in zip(results, expected, strict=True):
        assert said in result.texts[0].text
        assert "QUJD" not in result.texts[0].text  # bytes of a file


@pytest.mark.parametrize(("wire", "body", "name", "texts"), REPLACED)
def test_what_can_be_replaced_is_replaced_whole(
    wire: str, body: dict[str, Any], name: str, texts: list[str]
) -> None:
    request = read(wire, body)
    (result,) = request.tool_results
    assert (result.name, result.fixed, [block.text for block in result.texts]) == (name, False, texts)
    request.set_tool_result(result, "withheld")
    assert b"EVIL" not in request.encode()
    (again,) = read(wire, request.encode()).tool_results
    assert (again.name, [block.text for block in again.texts]) == (name, ["withheld"])


@pytest.mark.parametrize(("wire", "body"), NONE)
def test_calls_and_declarations_are_no_results(wire: str, body: dict[str, Any]) -> None:
    assert not read(wire, body).tool_results


def test_an_error_of_an_mcp_server_is_one_and_goes_with_its_output() -> None:
    request = read("responses", items(MCP | {"output": None, "error": "EVIL"}))
    (result,) = request.tool_results
    assert result.is_error
    request.set_tool_result(result, "withheld")
    assert sent(request)["input"][1] == MCP | {"output": "withheld"}


def test_the_page_of_a_computer_goes_with_its_picture() -> None:
    call = {"type": "computer_call", "call_id": "c", "id": "i", "action": {"type": "screenshot"}}
    output = {"type": "computer_call_output", "call_id": "c", "current_url": "EVIL", "output": {"image_url": "EVIL"}}  # fmt: skip
    request = read("responses", items(call, output))
    (result,) = request.tool_results
    request.set_tool_result(result, "withheld")
    assert b"EVIL" not in request.encode()
    assert sent(request)["input"][2].keys() == {"type", "call_id", "output"}


@pytest.mark.parametrize(
    ("wire", "body", "name"),
    [
        ("chat", b'{"messages":[{"role":"tool","content":"EVIL","annotations":[{%b}]}]}', ""),
        ("chat", b'{"messages":[{"role":"assistant","annotations":[{%b}]}]}', "web_search"),
        ("chat", b'{"messages":[{"role":"assistant","executed_tools":[{%b}]}]}', ""),
        ("responses", b'{"input":[{"type":"file_search_call","results":[{%b}]}]}', "file_search"),
        ("responses", b'{"input":[{"type":"mcp_call","name":"read","error":{%b}}]}', "read"),
        ("responses", b'{"input":[{"type":"code_interpreter_call","outputs":[{%b}]}]}', "code_interpreter"),
        ("gemini", b'{"contents":[{"parts":[{"toolResponse":{"response":{%b}}}]}]}', ""),
        ("anthropic", b'{"messages":[{"role":"assistant","content":[{"type":"x_tool_result","content":{%b}}]}]}', "x"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_a_result_still(wire: str, body: bytes, name: str) -> None:
    assert [result.name for result in read(wire, body % HUGE).tool_results] == [name]


def test_words_that_precede_reading_are_rare() -> None:
    for wire, body in [
        ("chat", chat(content="I called a tool, and its output is a function of the search.")),
        ("responses", items({"type": "message", "role": "assistant", "content": "A citation, a call, an output."})),
        ("gemini", parts({"text": "I ran code: its result, and a tool's response."})),
        ("anthropic", turns({"type": "text", "text": "The result of a tool."})),
    ]:  # fmt: skip
        request = read(wire, msgspec.json.encode(body))
        assert not request.may_hold_results()
