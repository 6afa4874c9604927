"""What the vendors' own clients make of the bytes that a gateway sent, whatever their version.

Run by the Python of an environment that has them, with a folder of recorded answers::

    python sdk_replay.py FOLDER

It needs nothing but the clients and the standard library.
"""

import importlib
import json  # noqa: TID251  # run where nothing else may be installed
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE = 20.0
_MEMBERS = frozenset({"toolcalls", "functioncall", "functioncalls", "partialjson"})
_TYPES = re.compile(
    r".*(?:call|tool_use|approval_request|input_json_delta)|function|custom|.*call_(?:arguments|input)\..*"
)


@dataclass
class Seen:
    """What an application behind the client sees."""

    text: str = ""
    calls: list[Any] = field(default_factory=list)
    error: str = ""
    failed: bool = False
    """The API's own words for a failed answer, yielded rather than raised."""


def calls_in(value: Any) -> Iterator[Any]:
    """Whatever is a call in what a client shows, the members included that its types do not name."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from calls_in(each)
    elif isinstance(value, dict):
        for key, child in value.items():
            plain = str(key).lower().replace("_", "")
            if plain in _MEMBERS and child:
                yield {key: child}
            elif plain == "type" and isinstance(child, str) and _TYPES.fullmatch(child):
                yield value
            elif plain not in ("tools", "toolchoice", "sdkhttpresponse", "automaticfunctioncallinghistory"):
                yield from calls_in(child)


class Server(threading.Thread):
    """Answers every request with the same bytes, and closes the connection."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.raw = b""
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return  # it was closed
            with connection:
                connection.settimeout(DEADLINE)
                try:
                    self._serve(connection)
                except OSError:
                    continue  # the client has left

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        if found := re.search(rb"(?i)content-length: *(\d+)", head):
            while len(body) < int(found[1]):
                body += connection.recv(65536)
        # A client that kept the connection would ask again on one that is closed.
        connection.sendall(self.raw.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))

    def close(self) -> None:
        self._listening.close()


class Clients:
    """The vendors' clients, one of each, before a server that replays."""

    def __init__(self) -> None:
        anthropic, genai, openai = map(importlib.import_module, ("anthropic", "google.genai", "openai"))
        self.server = Server()
        url = f"http://127.0.0.1:{self.server.port}"
        common = {"api_key": "k", "max_retries": 0, "timeout": DEADLINE}
        self._openai = openai.OpenAI(base_url=f"{url}/v1", **common)
        self._messages = anthropic.Anthropic(base_url=url, **common)
        self._genai = genai.Client(
            api_key="k", http_options={"base_url": url, "timeout": int(DEADLINE * 1000)}
        )
        self.versions = {
            name: importlib.import_module(name).__version__ for name in ("openai", "anthropic")
        } | {"google-genai": genai.version.__version__}

    def close(self) -> None:
        self._openai.close()
        self._messages.close()
        self.server.close()

    def see(self, dialect: str, raw: bytes, *, stream: bool) -> Seen:
        """Replay one answer to the client of its wire."""
        self.server.raw = raw
        seen = Seen()
        try:
            for shown in getattr(self, f"_{dialect}")(stream=stream, seen=seen):
                seen.calls += calls_in(shown)
        except Exception as error:  # whatever a client raises is what the application sees
            seen.error = f"{type(error).__name__}: {error}"[:500]
        return seen

    def _chat(self, *, stream: bool, seen: Seen) -> Iterator[Any]:
        answer = self._openai.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
        for chunk in answer if stream else [answer]:
            shown = chunk.model_dump()
            for choice in shown.get("choices") or ():
                seen.text += (choice.get("delta") or choice.get("message") or {}).get("content") or ""
            yield shown

    def _responses(self, *, stream: bool, seen: Seen) -> Iterator[Any]:
        answer = self._openai.responses.create(model="m", input="Hi", stream=stream)
        for event in answer if stream else [answer]:
            shown = event.model_dump(warnings=False)
            if not stream:
                seen.text = event.output_text
            elif event.type == "response.output_text.delta":
                seen.text += event.delta
            elif event.type == "response.failed":
                seen.failed = True
            yield shown

    def _anthropic(self, *, stream: bool, seen: Seen) -> Iterator[Any]:
        answer = self._messages.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
        for event in answer if stream else [answer]:
            shown = event.model_dump(warnings=False)
            said = [shown.get("delta"), shown.get("content_block"), *(shown.get("content") or ())]
            seen.text += "".join(part.get("text") or "" for part in said if part)
            yield shown

    def _gemini(self, *, stream: bool, seen: Seen) -> Iterator[Any]:
        models = self._genai.models
        ask = models.generate_content_stream if stream else models.generate_content
        answer = ask(model="m", contents="Hi")
        for chunk in answer if stream else [answer]:
            shown = chunk.model_dump()
            for candidate in shown.get("candidates") or ():
                for part in (candidate.get("content") or {}).get("parts") or ():
                    seen.text += part.get("text") or ""
            yield shown


def wrong(seen: Seen, ending: str, *, reads: bool) -> str:
    """What an application must not have seen of an answer with this ending; empty: nothing of it."""
    if seen.calls:
        return f"it saw calls: {str(seen.calls)[:300]}"
    if not reads:
        return ""
    if ending == "failed":
        return ""  # an error that only the name of an event tells of, which not all read
    if ending in ("unjudged", "broken"):
        return "" if seen.error or seen.failed else f"it took a broken answer for whole: {seen.text[-200:]!r}"
    if seen.error:
        return f"it raised {seen.error}"
    words = ("denied", "tool invocation policy") if ending == "refused" else ()
    return "" if all(word in seen.text for word in words) else f"no refusal in {seen.text[-200:]!r}"


def main(folder: str) -> int:
    """Replay every recorded answer; return how many the clients read otherwise than they should."""
    for name in [
        name for name in os.environ if name.endswith(("_API_KEY", "_AUTH_TOKEN")) or "proxy" in name.lower()
    ]:
        del os.environ[name]  # none of the developer's own
    clients = Clients()
    bad = count = 0
    for file in sorted(Path(folder).glob("*.json")):
        told = json.loads(file.read_text())
        seen = clients.see(told["dialect"], file.with_suffix(".raw").read_bytes(), stream=told["stream"])
        count += 1
        if problem := wrong(seen, told["ending"], reads=told["reads"]):
            bad += 1
            sys.stdout.write(f"{told['name']}: {problem}\n")
    versions = ", ".join(f"{name} {version}" for name, version in clients.versions.items())
    sys.stdout.write(f"{count} answers of a gateway, read by {versions}: {bad} wrong\n")
    clients.close()
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
