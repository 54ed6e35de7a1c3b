"""The documents that a process keeps of jobs: what is asked for stays, all else goes."""

from image2model.access.lookup import JobState
from image2model.jobs.status import DocumentCache, EncodedDocument

STATE = JobState("run", 1, 1000)


def document(at: float, size: int = 10) -> EncodedDocument:
    return EncodedDocument(STATE, b"x" * size, at)


def test_a_document_that_nobody_asked_for_goes_after_a_while() -> None:
    cache = DocumentCache(max_s=60)
    cache.put("old", document(0))
    cache.put("recent", document(30))
    cache.put("new", document(61))
    assert cache.get("old", STATE) is None
    assert cache.get("recent", STATE)
    assert cache.held == 20


def test_a_flow_of_jobs_holds_no_more_than_that_of_one_while() -> None:
    cache = DocumentCache(max_s=60)
    for second in range(10_000):
        cache.put(f"job {second}", document(second))
    assert cache.held == 61 * 10


def test_a_document_that_is_asked_for_stays_while_others_go() -> None:
    cache = DocumentCache(max_s=60)
    cache.put("idle", document(0))
    cache.put("polled", document(1))
    for second in range(2, 60):
        cache.put(f"job {second}", document(second))
        assert cache.get("polled", STATE)
    cache.put("new", document(60.5))
    assert cache.get("idle", STATE) is None
    assert cache.get("polled", STATE)


def test_bytes_are_bounded_whatever_the_time() -> None:
    cache = DocumentCache(max_bytes=25, max_s=60)
    for name in ("first", "second", "third"):
        cache.put(name, document(0))
    assert cache.get("first", STATE) is None
    assert cache.held == 20
    cache.put("second", document(0, size=5))
    assert cache.held == 15


def test_a_document_larger_than_the_cache_is_not_kept() -> None:
    cache = DocumentCache(max_bytes=5)
    cache.put("large", document(0))
    assert (cache.get("large", STATE), cache.held) == (None, 0)
