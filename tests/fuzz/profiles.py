"""How much is tried: a little on every run, much at night."""

import os

from hypothesis import HealthCheck, Phase, settings

VARIABLE = "GATEWAY_TEST_FUZZ"
"""A number of examples for each test, such as 5000; unset: what a run of all tests has time for."""
_USUAL = 400
_AMOUNT = int(os.environ.get(VARIABLE) or _USUAL)


def examples(share: float = 1.0) -> settings:
    """Return settings for a test; ``share``: of the examples that one gets."""
    return settings(
        max_examples=max(1, int(_AMOUNT * share)),
        deadline=None,
        derandomize=False,
        print_blob=True,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    )


NIGHT = _AMOUNT > _USUAL
"""Somebody looks at what is found."""
TIMEOUT = 120 if _AMOUNT <= _USUAL else 60 + _AMOUNT
"""Seconds that a test may take."""
