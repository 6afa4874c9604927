"""Tools that a provider runs itself, per wire: all are found, under the name that a policy knows them by."""

from typing import Any

import pytest

from tests.providers.test_hidden_state import read

SCHEMA = {"type": "object"}
MCP = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example"}


def tool(kind: str, **more: Any) -> dict[str, Any]:
    return {"tools": [{"type": kind, **more}]}


HOSTED: list[tuple[str, dict[str, Any], list[str]]] = [
    # OpenAI's Responses API, and those that are like it.
    ("responses", tool("web_search"), ["web_search"]),
    ("responses", tool("web_search_preview"), ["web_search"]),
    ("responses", tool("web_search_preview_2025_03_11"), ["web_search"]),
    ("responses", tool("web_search_2025_08_26"), ["web_search"]),
    ("responses", tool("web_search_tomorrow"), ["web_search_tomorrow"]),
    ("responses", tool("openrouter:web_search"), ["web_search"]),
    ("responses", tool("openrouter:datetime"), ["datetime"]),
    ("responses", tool("x_search"), ["x_search"]),
    ("responses", tool("file_search", vector_store_ids=["vs_1"]), ["file_search"]),
    ("responses", tool("code_interpreter", container={"type": "auto"}), ["code_interpreter"]),
    ("responses", tool("image_generation"), ["image_generation"]),
    ("responses", tool("programmatic_tool_calling"), ["programmatic_tool_calling"]),
    ("responses", tool("shell", environment={"type": "container_auto"}), ["shell"]),
    ("responses", tool("tool_search"), ["tool_search"]),
    ("responses", tool("tomorrow"), ["tomorrow"]),
    ("responses", {"tools": [MCP]}, ["wiki"]),
    ("responses", {"tools": [MCP | {"require_approval": "never", "allowed_tools": ["ask"]}]}, ["wiki", "mcp__wiki__ask"]),
    ("responses", {"tools": [MCP | {"require_approval": {"never": {"tool_names": ["ask"]}}}]}, ["wiki"]),
    ("responses", {"tools": [MCP | {"allowed_tools": {"tool_names": ["ask"], "read_only": True}}]}, ["wiki", "mcp__wiki__ask"]),
    ("responses", tool("mcp", connector_id="connector_dropbox"), ["mcp"]),
    ("responses", tool("namespace", name="n", tools=[{"type": "web_search"}, {"type": "function", "name": "f"}]), ["web_search"]),
    ("responses", {"input": [{"type": "additional_tools", "role": "developer", "tools": [{"type": "code_interpreter"}]}]}, ["code_interpreter"]),
    ("responses", {"input": [{"type": "tool_search_output", "tools": [MCP]}]}, ["wiki"]),
    ("responses", {"input": [{"type": "mcp_list_tools", "server_label": "wiki", "tools": [{"name": "ask", "input_schema": SCHEMA}]}]}, ["mcp__wiki__ask"]),
    ("responses", {"prompt": {"id": "p"}, "tool_choice": {"type": "web_search_preview"}}, ["web_search"]),
    ("responses", {"prompt": {"id": "p"}, "tool_choice": {"type": "mcp", "server_label": "wiki", "name": "ask"}}, ["wiki"]),
    ("responses", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}, {"type": "image_generation"}]}}, ["image_generation"]),
    ("responses", {"model": "vendor/model:online"}, ["web_search"]),
    ("responses", {"plugins": [{"id": "web"}]}, ["web_search"]),
    # Chat completions, of OpenAI and of all that are like it.
    ("chat", {"web_search_options": {}}, ["web_search"]),
    ("chat", {"web_search_options": None}, []),
    ("chat", {"search_parameters": {}}, ["live_search"]),
    ("chat", {"search_parameters": {"mode": "auto"}}, ["live_search"]),
    ("chat", {"search_parameters": {"mode": "off"}}, []),
    ("chat", tool("live_search", sources=[]), ["live_search"]),
    ("chat", {"plugins": [{"id": "web"}, {"id": "file-parser"}, {"id": "x", "enabled": False}, "plugin_web_search", 7]}, ["web_search", "file-parser", "plugin_web_search"]),
    ("chat", {"model": "vendor/model:online"}, ["web_search"]),
    ("chat", {"model": "vendor/model", "models": ["vendor/other:online"]}, ["web_search"]),
    ("chat", tool("openrouter:web_search"), ["web_search"]),
    ("chat", tool("browser_search"), ["browser_search"]),
    ("chat", tool("code_interpreter"), ["code_interpreter"]),
    ("chat", tool("web_search", web_search={"enable": True}), ["web_search"]),
    ("chat", {"tools": [MCP | {"allowed_tools": ["ask"]}]}, ["wiki", "mcp__wiki__ask"]),
    ("chat", {"model": "groq/compound"}, ["web_search", "visit_website", "code_interpreter"]),
    ("chat", {"model": "compound-beta-mini"}, ["web_search", "visit_website", "code_interpreter"]),
    ("chat", {"model": "groq/compound", "compound_custom": {"tools": {"enabled_tools": ["visit_website"]}}}, ["visit_website"]),
    ("chat", {"model": "vendor/compounding"}, []),
    ("chat", {"tool_choice": {"type": "web_search"}}, ["web_search"]),
    ("chat", {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "mcp", "server_label": "wiki"}]}}}, ["wiki"]),
    # Anthropic.
    ("anthropic", tool("web_search_20260318", name="web_search"), ["web_search"]),
    ("anthropic", tool("web_fetch_20260318", name="web_fetch"), ["web_fetch"]),
    ("anthropic", tool("code_execution_20260521", name="code_execution"), ["code_execution"]),
    ("anthropic", tool("tool_search_tool_regex_20251119", name="tool_search_tool_regex"), ["tool_search_tool_regex"]),
    ("anthropic", tool("advisor_20260301", name="advisor"), ["advisor"]),
    ("anthropic", tool("tomorrow_20280101"), ["tomorrow_20280101"]),
    ("anthropic", {"mcp_servers": [{"type": "url", "name": "wiki", "url": "https://wiki.example"}]}, ["wiki"]),
    ("anthropic", {"mcp_servers": [{"name": "wiki", "tool_configuration": {"allowed_tools": ["ask"]}}]}, ["wiki", "mcp__wiki__ask"]),
    ("anthropic", tool("mcp_toolset", mcp_server_name="wiki", configs={"ask": {}, "edit": {"enabled": False}, "read": {"enabled": True}}, default_config={"enabled": False}), ["wiki", "mcp__wiki__ask", "mcp__wiki__read"]),
    ("anthropic", tool("mcp_toolset", mcp_server_name="wiki", configs=7), ["wiki"]),
    ("anthropic", tool("mcp_toolset", mcp_server_name="wiki", tools=[{"name": "ask", "input_schema": SCHEMA}]), ["wiki", "mcp__wiki__ask"]),
    # Code that the provider runs may call the client's tools, whose calls come to the client as any others.
    ("anthropic", {"tools": [{"type": "code_execution_20260120", "name": "code_execution"}, {"name": "query", "input_schema": SCHEMA, "allowed_callers": ["code_execution_20260120"]}]}, ["code_execution"]),
    # Gemini.
    ("gemini", {"tools": [{"googleSearch": {}, "codeExecution": {}}]}, ["googleSearch", "codeExecution"]),
    ("gemini", {"tools": [{"google_search": {}}, {"url_context": {}}]}, ["googleSearch", "urlContext"]),
    ("gemini", {"tools": {"googleMaps": {}, "functionDeclarations": [{"name": "f"}]}}, ["googleMaps"]),
    ("gemini", {"tools": [{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}]}, ["computerUse"]),
    ("gemini", {"tools": [{"fileSearch": {}}, {"enterpriseWebSearch": {}}, {"googleSearchRetrieval": {}}]}, ["fileSearch", "enterpriseWebSearch", "googleSearchRetrieval"]),
    ("gemini", {"tools": [{"retrieval": {"vertexAiSearch": {}}}, {"exaAiSearch": {}}, {"parallelAiSearch": {}}]}, ["retrieval", "exaAiSearch", "parallelAiSearch"]),
    ("gemini", {"tools": [{"mcpServers": [{"name": "wiki", "streamableHttpTransport": {"url": "https://wiki.example"}}, {}]}]}, ["wiki", "mcpServers"]),
    ("gemini", {"tools": [{"mcp_servers": {"name": "wiki"}}]}, ["wiki"]),
    ("gemini", {"tools": [{"tomorrowsTool": {}, "googleSearch": None}]}, ["tomorrowsTool"]),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "expected"), HOSTED)
def test_hosted(wire, body, expected):
    hosted = [one.name for one in read(wire, body).tools if one.server_executed]
    assert [name for name in hosted if not name.endswith("__*")] == expected


@pytest.mark.parametrize(
    ("wire", "body", "told"),
    [
        ("responses", {"tools": [MCP]}, True),
        ("responses", {"tools": [MCP | {"allowed_tools": {"read_only": True}}]}, True),
        ("responses", {"tools": [MCP | {"allowed_tools": ["ask"]}]}, False),
        ("responses", {"tools": [MCP | {"require_approval": "always"}]}, False),
        ("chat", {"tools": [MCP]}, True),
        ("anthropic", {"mcp_servers": [{"name": "wiki", "url": "https://wiki.example"}]}, True),
        ("anthropic", {"mcp_servers": [{"name": "wiki", "tool_configuration": {"allowed_tools": ["ask"]}}]}, False),
        ("anthropic", tool("mcp_toolset", mcp_server_name="wiki"), True),
        ("anthropic", tool("mcp_toolset", mcp_server_name="wiki", default_config={"enabled": False}), False),
    ],
)  # fmt: skip
def test_a_server_of_which_no_tools_are_listed_may_run_any(wire, body, told):
    assert ("mcp__wiki__*" in [one.name for one in read(wire, body).tools]) is told


LOCAL: list[tuple[str, dict[str, Any], list[str]]] = [
    ("responses", tool("function", name="f", parameters=SCHEMA), ["f"]),
    ("responses", tool("custom", name="c"), ["c"]),
    ("responses", tool("local_shell"), ["local_shell"]),
    ("responses", tool("shell", environment={"type": "local"}), ["shell"]),
    ("responses", tool("apply_patch"), ["apply_patch"]),
    ("responses", tool("computer"), ["computer"]),
    ("responses", tool("computer_use_preview"), ["computer_use_preview"]),
    ("responses", tool("tool_search", execution="client"), ["tool_search"]),
    # The client is asked before each of its calls: those can be judged.
    ("responses", {"tools": [MCP | {"require_approval": "always", "allowed_tools": ["ask"]}]}, ["wiki", "mcp__wiki__ask"]),
    ("responses", {"tool_choice": {"type": "function", "name": "f"}}, []),
    ("responses", {"tool_choice": "auto"}, []),
    ("responses", tool("function", name="f", parameters=SCHEMA, allowed_callers=["programmatic"]), ["f"]),
    ("chat", tool("function", function={"name": "f"}), ["f"]),
    ("chat", tool("builtin_function", function={"name": "$web_search"}), ["$web_search"]),
    ("chat", {"tool_choice": {"type": "function", "function": {"name": "f"}}}, []),
    ("chat", {"functions": [{"name": "f"}]}, ["f"]),
    ("anthropic", tool("bash_20250124", name="bash"), ["bash"]),
    ("anthropic", tool("text_editor_20250728", name="str_replace_based_edit_tool"), ["str_replace_based_edit_tool"]),
    ("anthropic", tool("computer_toolset_20260801"), ["computer_toolset_20260801"]),
    ("gemini", {"tools": [{"functionDeclarations": [{"name": "f"}]}], "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["f"]}}}, ["f"]),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "expected"), LOCAL)
def test_what_the_client_runs(wire, body, expected):
    tools = read(wire, body).tools
    assert [(one.name, one.server_executed) for one in tools] == [(name, False) for name in expected]


def test_each_hosted_tool_is_listed_once():
    body = {
        "model": "m:online",
        "plugins": [{"id": "web"}],
        "web_search_options": {},
        "tools": [{"type": "web_search"}, {"type": "openrouter:web_search"}],
        "tool_choice": {"type": "web_search"},
    }
    assert [one.name for one in read("chat", body).tools] == ["web_search"]
    assert [one.name for one in read("responses", body).tools] == ["web_search"]
