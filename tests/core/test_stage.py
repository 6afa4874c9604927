"""Only what a stage overrides is run, in the order of the list."""

from gateway.core.stage import Pipeline, Stage


class Early(Stage):
    async def on_headers(self, i):
        i.append("headers")

    async def on_request(self, i):
        i.append("early")


class Late(Stage):
    async def on_request(self, i):
        i.append("late")

    async def on_tool_calls(self, i):
        i.append("calls")


class Later(Late):
    async def on_done(self, batch):
        batch.append("done")


async def test_only_what_is_overridden_in_order():
    stages = (Early(), Late(), Later(), Stage())
    pipeline = Pipeline(stages)
    assert pipeline.stages == stages
    said = []
    for method in (*pipeline.headers, *pipeline.request, *pipeline.tool_calls, *pipeline.done):
        await method(said)
    assert said == ["headers", "early", "late", "late", "calls", "calls", "done"]


async def test_a_stage_that_overrides_nothing_does_nothing():
    stage = Stage()
    pipeline = Pipeline([stage])
    assert not any((pipeline.headers, pipeline.request, pipeline.tool_calls, pipeline.done))
    for method in (stage.on_headers, stage.on_request, stage.on_tool_calls):
        assert await method(None) is None
    assert await stage.on_done([]) is None
