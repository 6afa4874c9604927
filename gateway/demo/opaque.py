"""Endpoints that a gateway passes unread: any upload is swallowed, the answer is small and plausible."""

import base64
import time
from typing import Any

from aiohttp import BodyPartReader, web

from gateway.demo.wire import encode, token

PICTURE = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082",
    ),
).decode()


async def answer(request: web.Request) -> web.Response:
    """Read the whole body, however large, and answer by the end of the path."""
    received, form = await _receive(request)
    segments = [segment for segment in request.path.split("/") if segment]
    end = segments[-1] if segments else ""
    now = int(time.time())
    if request.method == "DELETE":
        return _json({"id": end, "object": "deleted", "deleted": True})
    if request.method in ("GET", "HEAD"):
        plural = end.endswith("s") or not end
        return _json(
            {"object": "list", "data": [], "has_more": False} if plural else {"id": end, "object": "item"}
        )
    match end:
        case "files":
            file = {"id": f"file-{token(22)}", "object": "file", "bytes": received, "created_at": now}
            return _json(
                {
                    **file,
                    "filename": form.get("filename", "file"),
                    "purpose": form.get("purpose", "user_data"),
                }
            )
        case "transcriptions" | "translations":
            return _json({"text": f"A recording of {received} bytes, in which nobody says anything."})
        case "generations" | "edits" | "variations":
            return _json({"created": now, "data": [{"b64_json": PICTURE}]})
        case "moderations":
            result = {
                "flagged": False,
                "categories": {},
                "category_scores": {},
                "category_applied_input_types": {},
            }
            return _json({"id": f"modr-{token(24)}", "model": "omni-moderation-latest", "results": [result]})
        case "speech":
            return web.Response(body=bytes(1024), content_type="audio/mpeg")
        case _:
            kind = "batch" if end == "batches" else end.removesuffix("s") or "item"
            return _json({"id": f"{kind}_{token(24)}", "object": kind, "created_at": now, "bytes": received})


async def _receive(request: web.Request) -> tuple[int, dict[str, str]]:
    """Count the bytes of the body, or of the file in it, and collect the small fields of a form."""
    form: dict[str, str] = {}
    received = 0
    if not request.content_type.startswith("multipart/"):
        async for chunk in request.content.iter_any():
            received += len(chunk)
        return received, form
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        if part.filename is None:
            form[part.name or ""] = await part.text()
            continue
        form["filename"] = part.filename
        while chunk := await part.read_chunk(1 << 16):
            received += len(chunk)
    return received, form


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")
