"""What is left to delete at FAL, and a refused admin key, are in `/admin/stats`, `/metrics` and `doctor`."""

import httpx
import pytest

from image2model.cli.commands.doctor_findings import Finding, State
from image2model.cli.commands.doctor_privacy import check_deletions, check_privacy
from image2model.generation import fal_deletions
from tests.support.fleet import Fleet
from tests.support.ports import free_port
from tests.support.privacy import ADMIN_KEY, PRIVATE, try_now, until_listed


def rows(findings: list[Finding]) -> list[tuple[State, str]]:
    assert {one.part for one in findings} <= {"privacy"}
    assert all(one.advice for one in findings if one.state is not State.OK)
    return [(one.state, one.detail) for one in findings]


async def test_refused_admin_key_is_shown_everywhere(fleet: Fleet) -> None:
    fleet.emulator.fault("admin_refused", rate=1)
    fleet.start_worker(**PRIVATE)
    await fleet.until_finished(await fleet.submit(2))
    await until_listed(fleet, lambda now: now.refused != "" and now.pending == 2)
    port = free_port()
    await fleet.start_api(port, **PRIVATE)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as api:
        stats = (await api.get("/api/v1/admin/stats")).raise_for_status().json()
        assert stats["fal_privacy"] == "private"
        shown = stats["fal_deletions"]
        assert (shown["pending"], shown["done"], shown["kept"]) == (2, 0, 0)
        assert "admin API key" in shown["refused"]
        assert shown["last_error_at"]
        metrics = (await api.get("/metrics")).text
        assert "image2model_fal_deletions_pending 2.0" in metrics
        assert "image2model_fal_admin_key_refused 1.0" in metrics
        settings = fleet.settings(**PRIVATE)
        [(state, detail)] = rows(await check_deletions(fleet.redis, settings))
        assert state is State.BROKEN
        assert "refuses the admin key" in detail
        assert "2 requests wait" in detail
        assert any(
            state is State.BROKEN and "refuses the admin key" in detail
            for state, detail in rows(await check_privacy(settings))
        )

        fleet.emulator.http.delete("/_emulator/faults").raise_for_status()
        await try_now(fleet)
        await until_listed(fleet, lambda now: now.done == 2)
        stats = (await api.get("/api/v1/admin/stats")).raise_for_status().json()
        assert stats["fal_deletions"] == {
            "kept": 0,
            "pending": 0,
            "done": 2,
            "failing": 0,
            "refused": None,
            "last_error": None,
            "last_error_at": None,
        }
    assert rows(await check_deletions(fleet.redis, settings)) == [
        (State.OK, "2 requests deleted at FAL, 0 to go")
    ]


async def test_doctor_says_what_fal_keeps_and_what_the_keys_may_do(fleet: Fleet) -> None:
    [(_, default)] = rows(await check_privacy(fleet.settings()))
    assert "anyone who has an address" in default
    [(_, expire)] = rows(await check_privacy(fleet.settings(I2M_FAL_PRIVACY="expire")))
    assert "7 days" in expire
    private = rows(await check_privacy(fleet.settings(**PRIVATE)))
    assert [state for state, _ in private] == [State.OK, State.OK]
    assert "partners' hosts stay public" in private[0][1]
    wrong = fleet.settings(**{**PRIVATE, "I2M_FAL_ADMIN_KEY": "user-id:secret-secret"})
    assert [state for state, _ in rows(await check_privacy(wrong))] == [State.OK, State.BROKEN]
    fleet.emulator.fault("sign_fails", rate=1, value="403")
    unsigned = rows(await check_privacy(fleet.settings(**PRIVATE)))
    assert [state for state, _ in unsigned] == [State.OK, State.BROKEN]
    assert "refuses to sign" in unsigned[1][1]


@pytest.mark.long
async def test_doctor_names_a_list_that_nobody_works_on(fleet: Fleet) -> None:
    assert rows(await check_deletions(fleet.redis, fleet.settings())) == []
    fleet.emulator.fault("delete_fails", rate=1)
    worker = fleet.start_worker(**PRIVATE)
    await fleet.until_finished(await fleet.submit(1))
    await until_listed(fleet, lambda now: now.failing == 1)
    await worker.end()
    [(state, detail)] = rows(await check_deletions(fleet.redis, fleet.settings(I2M_FAL_ADMIN_KEY=ADMIN_KEY)))
    assert (state, "could not be deleted" in detail) == (State.WARNING, True)
    assert "http" not in (await fal_deletions.read(fleet.redis)).last_error
    [(state, detail)] = rows(await check_deletions(fleet.redis, fleet.settings()))
    assert (state, detail) == (State.WARNING, "1 requests are still to be deleted at FAL")
