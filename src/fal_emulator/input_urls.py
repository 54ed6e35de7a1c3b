"""What the URLs in an input are, by their text alone: one of our own files, or too long for the ledger."""


def own_path(url: str, base_url: str) -> str | None:
    """The path of a file of ours, None for every other URL."""
    prefix = f"{base_url}/files/"
    return url.removeprefix(f"{base_url}/") if url.startswith(prefix) else None


def summary(value: object) -> object:
    """The same input with long data URIs cut short, for the ledger."""
    if isinstance(value, str) and value.startswith("data:") and len(value) > 512:
        return f"{value[:64]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {name: summary(item) for name, item in value.items()}
    if isinstance(value, list):
        return [summary(item) for item in value]
    return value
