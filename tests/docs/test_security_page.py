"""SECURITY.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_proof_of_the_security_page_exists() -> None:
    named = re.findall(r"`((?:tests|tools)/[^`]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 30
    for proof in named:
        path, _, test = proof.partition("::")
        text = (ROOT / path).read_text()
        assert not test or f"def {test}(" in text, proof
