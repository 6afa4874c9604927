"""The provider contract over every fixture of every provider; a new provider needs no test of its own."""

from pathlib import Path

import pytest

from gateway.core import provider as registry
from gateway.providers import load
from gateway.testing import Case, check_contract, load_cases, missing_cases

FIXTURES = Path(__file__).parent / "fixtures"
PROVIDERS = load()
NATIVE = [name for name in PROVIDERS if name in registry._REGISTERED]
CASES = {folder.name: load_cases(folder) for folder in sorted(FIXTURES.iterdir()) if folder.is_dir()}
ALL = [(name, case) for name, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("provider", "case"), ALL, ids=[case.name for _, case in ALL])
def test_contract(provider: str, case: Case) -> None:
    check_contract(PROVIDERS[provider], case)


@pytest.mark.parametrize("provider", NATIVE)
def test_every_registered_provider_has_the_cases_it_needs(provider: str) -> None:
    assert missing_cases(PROVIDERS[provider], CASES.get(provider, [])) == []


def test_every_folder_of_fixtures_belongs_to_a_provider() -> None:
    assert CASES.keys() <= PROVIDERS.keys()
    assert [name for name, cases in CASES.items() if not cases] == []


def test_every_case_says_what_is_expected() -> None:
    assert [case.name for _, case in ALL if not case.expect] == []
