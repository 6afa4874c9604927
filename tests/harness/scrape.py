"""What a scrape shows, as Prometheus's own parser reads it."""

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The samples of one exposition."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of this name that have these labels, whatever else they have."""
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def values(self, name: str, label: str) -> dict[str, float]:
        """The same, by the values of one label."""
        found = {s.labels[label] for s in self.samples if s.name == name}
        return {value: self.total(name, **{label: value}) for value in found}
