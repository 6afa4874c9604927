"""What the process holds at the moment when somebody scrapes."""

from collections import Counter
from collections.abc import Callable, Mapping

from aioprometheus.collectors import Registry

from gateway.recorder import Recorder
from gateway.series import Gauge, Tally
from gateway.storage.archive import Archive
from gateway.watchdog import Watchdog


def expose(
    registry: Registry,
    watchdog: Watchdog,
    recorder: Recorder,
    archive: Archive,
    left_out: Callable[[], Mapping[str, int]],
    unfit: Callable[[], int],
) -> None:
    """Register what is read rather than counted.

    ``left_out``: the interactions that the archive never got, by why; ``unfit``: declared tools that it never got.
    """
    watches = watchdog.watches

    def states() -> Mapping[tuple[str, ...], int]:
        found: Counter[tuple[str, ...]] = Counter()
        for counts in (recorder.counts(), left_out(), archive.counts()):
            found.update({(state,): count for state, count in counts.items()})
        return found

    Gauge(registry, "gateway_in_flight", "Interactions that have not ended.", lambda: len(watches))
    Gauge(
        registry,
        "gateway_active_streams",
        "Streams that have begun and not ended.",
        lambda: sum(watch.relay is not None and watch.relay.adapter.streamed for watch in watches),
    )
    Gauge(
        registry,
        "gateway_recorder_queue_records",
        "Interactions that wait to be recorded.",
        lambda: recorder.pending + archive.pending,
    )
    Gauge(
        registry,
        "gateway_recorder_queue_bytes",
        "Bytes that wait to be recorded.",
        lambda: recorder.size + archive.waiting,
    )
    Gauge(
        registry,
        "gateway_recorder_lag_seconds",
        "For how long the oldest interaction has waited to be recorded.",
        lambda: max(recorder.lag, archive.lag),
    )
    Tally(
        registry,
        "gateway_recorder_dropped_bodies_total",
        "Interactions recorded without their bodies, for want of room.",
        read=lambda: {(): recorder.dropped_bodies},
    )
    Tally(
        registry,
        "gateway_log_records_total",
        "Records by what has become of them.",
        "state",
        read=states,
    )
    Tally(
        registry,
        "gateway_discovered_tools_total",
        "Declared tools that were new or not seen for an hour, by what has become of them.",
        "state",
        read=lambda: {
            ("stored",): archive.discoveries.stored,
            ("surplus",): archive.discoveries.dropped,
            ("unfit",): unfit(),
        },
    )
