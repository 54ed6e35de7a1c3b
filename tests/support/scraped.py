"""What `/metrics` says, as a strict reader of Prometheus' text format finds it."""

from prometheus_client.parser import text_string_to_metric_families


def scraped(text: str, name: str, **labels: str) -> float | None:
    """The sum of the samples of this name that have these labels; None where there are none."""
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def by_label(text: str, name: str, label: str) -> dict[str, float]:
    """The samples of a name by one of its labels."""
    return {
        sample.labels[label]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }
