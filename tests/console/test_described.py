"""The API does what its description says, whatever is sent: requests are made from the document itself."""

import asyncio
import threading

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.storage.queries.tools import remember
from tests.console.conftest import ADMIN, TOML, stored
from tests.console.test_interactions import REQUEST, RESPONSE, record
from tests.console.test_tools import seen


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The document of a console that runs in a thread of its own."""
    folder, ready, loop = tmp_path_factory.mktemp("described"), threading.Event(), asyncio.new_event_loop()
    found = {}

    async def serve():
        stop = found["stop"] = asyncio.Event()
        async with stored(folder, toml=TOML.format(hash="ab" * 32)) as running:
            await running.made(ADMIN, "/api/agents", slug="support")
            await running.made(ADMIN, "/api/virtual-keys", name="k", agent="support")
            await running.rows(
                record(request=REQUEST, response=RESPONSE, session="s", cost=5, input_tokens=1)
            )
            async with running.database.write() as connection:
                await remember(connection, [seen("read")])
            found["url"] = running.url
            _, found["document"], _ = await running.ask("GET", "/openapi.json", ADMIN)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    schema = schemathesis.openapi.from_dict(found["document"])
    schema.config.update(base_url=found["url"])
    yield schema
    loop.call_soon_threadsafe(found["stop"].set)
    thread.join(10)
    loop.close()


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_it_does_what_it_says(described, mode):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:

        @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def conforms(case):
            case.call_and_validate(headers={"Authorization": f"Bearer {ADMIN}"}, checks=CHECKS)

        conforms()
