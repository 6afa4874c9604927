"""What a person sees when the gateway starts: where clients point, which keys were found, a command to copy."""

import sys

from gateway.app import Gateway
from gateway.core.provider import Provider, UpstreamRequest


def show(gateway: Gateway) -> None:
    """Print it; to standard error, so that standard output stays a log."""
    print(text(gateway), file=sys.stderr, flush=True)


def text(gateway: Gateway) -> str:
    """Return the table of base URLs, the console's address and a ``curl``."""
    providers = sorted(gateway.providers.values(), key=lambda p: (not p.native, p.name))
    width = max(len(p.display_name) for p in providers)
    use = "for clients without one" if gateway.settings.auth == "open" else 'used only with auth = "open"'
    lines = ["", "Point a client at its base URL:", ""]
    for provider in providers:
        note = f"  key found, {use}" if provider.name in gateway.secrets else ""
        lines.append(f"  {provider.display_name:{width}}  {gateway.url}/v1/{provider.name}{note}")
    lines += [
        "",
        f"Health and console: {gateway.console_url}",
        "",
        "Try:",
        "",
        f"  {_curl(gateway, providers)}",
        "",
    ]
    return "\n".join(lines)


def _curl(gateway: Gateway, providers: list[Provider]) -> str:
    provider = next((p for p in providers if p.name in gateway.secrets), gateway.providers.fallback)
    url = f"{gateway.url}/v1/{provider.name}{provider.row.models_path}"
    request = UpstreamRequest("GET", url, ())
    if gateway.settings.auth != "open" or provider.name not in gateway.secrets:
        variable = provider.row.key_variables[0] if provider.row.key_variables else "KEY"
        request = provider.sign(request, f"${variable}")
    headers = "".join(f' -H "{name}: {value}"' for name, value in request.headers)
    return f"curl {request.url}{headers}"
