"""The JavaScript client against the service's double: lost answers, cut streams, refusals, downloads."""

import json
import os
from pathlib import Path

import pytest

from tests.support.javascript import run_client
from tests.support.service import Service, model_of, problem


@pytest.mark.long
async def test_upload_sends_pictures_and_objects_with_what_is_said_of_them(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / 'a "quoted"\nname ü.png'
    path.write_bytes(b"\x89PNG" * 200_000)
    sizes = await run_client(
        """
        const views = [picture('f.png'), { picture: picture('b.png'), side: 'back' }];
        const chair = { name: 'chair', views, metadata: { sku: 1 } };
        const file = new File(['x'], 'file.png');
        const single = await openPicture(given.path, { metadata: { sku: 'A' } });
        const options = {
          model: 'm', params: { x: 1 }, face_limit: 5, no_cache: true, crop: false, params_strict: true,
          max_cost_usd: 0.1 + 0.2, metadata: { order: 7 }, priority: undefined,
        };
        const job = await client.upload([chair, single, file], options);
        return job.images.map((image) => image.size);
        """,
        url=service.url,
        key="a-key",
        given={"path": str(path)},
    )
    assert service.parts == [
        [
            ("objects[chair]", "f.png"),
            ("objects[chair][back]", "b.png"),
            ("files", path.name),
            ("files", "file.png"),
        ]
    ]
    assert sizes[1:] == [800_000, 1]
    assert service.headers[0]["authorization"] == "Bearer a-key"
    fields = dict(service.fields[0])
    manifest = json.loads(fields.pop("manifest"))
    assert manifest == {
        "files": [{"part": 2, "metadata": {"sku": "A"}}],
        "objects": [{"name": "chair", "metadata": {"sku": 1}}],
    }
    assert fields == {
        "model": "m",
        "params": '{"x":1}',
        "face_limit": "5",
        "no_cache": "true",
        "max_cost_usd": "0.300000",
        "metadata": '{"order":7}',
    }


async def test_progress_ends_with_all_bytes(service: Service) -> None:
    progress = await run_client(
        """
        const progress = [];
        await client.upload([picture('a', 'x'.repeat(1e6))], {}, { onProgress: (one) => progress.push(one) });
        return progress;
        """,
        url=service.url,
    )
    loaded = [one["loaded"] for one in progress]
    assert len({one["total"] for one in progress}) == 1
    assert len(loaded) > 3
    assert loaded == sorted(loaded)
    assert loaded[-1] == progress[0]["total"] == int(service.headers[0]["content-length"])


async def test_events_are_the_same_when_the_stream_is_cut_after_each(service: Service) -> None:
    service.events_per_connection = 1
    events = await run_client(
        "return all(client.follow((await client.upload([picture('a'), picture('b')])).job_id));",
        url=service.url,
    )
    assert [event["id"] for event in events] == [str(number) for number in range(12)]
    assert [event["type"] for event in events] == ["snapshot", *["image"] * 10, "complete"]
    assert [one["image"]["status"] for one in events[1:-1] if one["image"]["filename"] == "a"] == [
        *("preparing", "submitted", "generating", "storing", "succeeded"),
    ]
    assert events[0]["reset"] is False
    assert len(events[-1]["job"]["images"]) == 2


async def test_events_of_a_finished_job_end(service: Service) -> None:
    first, last, known, waited = await run_client(
        """
        const { job_id } = await client.upload([picture('a')]);
        await client.wait(job_id);
        const [first, last] = await all(client.follow(job_id));
        const known = await all(client.follow(job_id, { lastEventId: last.id }));
        return [first.type, last.type, known, (await client.wait(job_id, { lastEventId: last.id })).status];
        """,
        url=service.url,
    )
    assert (first, last, known, waited) == ("snapshot", "complete", [], "succeeded")


@pytest.mark.parametrize("progress", ["undefined", "() => {}"])
async def test_lost_reply_gives_the_first_job(progress: str, service: Service) -> None:
    service.lose_replies = 2
    retries = await run_client(
        f"""
        const retries = [];
        const call = {{ onProgress: {progress}, onRetry: (error) => retries.push(error.name) }};
        await client.upload([picture('a')], {{}}, call);
        return retries;
        """,
        url=service.url,
    )
    assert retries == ["Unreachable", "Unreachable"]
    assert len(service.jobs) == 1
    assert len({headers["idempotency-key"] for headers in service.headers}) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(409, "idempotency_in_progress"), (429, "queue_full"), (503, "store_unavailable")]
)
async def test_service_that_asks_to_come_back_is_asked_again(
    status: int, code: str, service: Service
) -> None:
    service.refuse_with = [problem(status, code, "later", headers={"Retry-After": "0"})] * 2
    await run_client("await client.upload([picture('a')]);", url=service.url)
    assert len(service.uploads) == 1


async def test_without_patience_it_fails_at_once(service: Service) -> None:
    service.refuse_with = [problem(503, "store_unavailable", "later", headers={"Retry-After": "7"})]
    found = await run_client(
        "const error = await caught(client.upload([picture('a')])); return [error.code, error.retryAfter];",
        url=service.url,
        patience=0,
    )
    assert found == ["store_unavailable", 7]


async def test_refusal_tells_everything(service: Service) -> None:
    fault = {"file": "a", "code": "not_an_image", "detail": "This is text."}
    service.refuse_with = [problem(422, "not_an_image", "One file.", errors=[fault], request_id="r1")]
    found = await run_client(
        """
        const error = await caught(client.upload([{ name: 'a', data: new Blob(['text']) }]));
        const { name, status, code, detail, message, errors, requestId, retryAfter } = error;
        const root = error instanceof ClientError;
        return { name, status, code, detail, message, errors, requestId, retryAfter, root };
        """,
        url=service.url,
    )
    assert found == {
        "name": "ProblemError",
        "status": 422,
        "code": "not_an_image",
        "detail": "One file.",
        "message": "One file.",
        "errors": [fault],
        "requestId": "r1",
        "retryAfter": None,
        "root": True,
    }
    assert service.uploads == []


async def test_download_is_whole_or_absent(service: Service, tmp_path: Path) -> None:
    service.short_downloads = 1
    image, size, written, error = await run_client(
        """
        const { job_id } = await client.upload([picture('a')]);
        const [image] = (await client.wait(job_id)).images;
        const [{ size }] = image.result.files;
        const download = () => client.download(job_id, image.image_id);
        const written = await save(`${given.folder}/deep/a.glb`, download, { size });
        const error = await caught(save(`${given.folder}/b.glb`, download, { size: 1, patience: 0 }));
        return [image.image_id, size, written, error.name];
        """,
        url=service.url,
        given={"folder": str(tmp_path)},
    )
    assert (written, error) == (size, "BadDownload")
    assert (tmp_path / "deep/a.glb").read_bytes() == model_of(image)
    assert sorted(name for _, _, names in os.walk(tmp_path) for name in names) == ["a.glb"]


async def test_unknown_job_is_an_error_at_once(service: Service) -> None:
    found = await run_client(
        """
        const errors = [await caught(client.job('../nothing')), await caught(all(client.follow('nothing')))];
        await client.delete('nothing');
        return errors.map(({ code, message }) => [code, message]);
        """,
        url=service.url,
    )
    assert found == [["", "The service answered 404."], ["not_found", "No such job."]]


async def test_nobody_there_is_unreachable(unused_tcp_port: int) -> None:
    found = await run_client(
        """
        const calls = [client.job('x'), all(client.follow('x')), client.cancel('x')];
        return (await Promise.all(calls.map(caught))).map(({ name, message }) => `${name}: ${message}`);
        """,
        url=f"http://127.0.0.1:{unused_tcp_port}",
        patience=100,
    )
    assert [text.partition(":")[0] for text in found] == ["Unreachable"] * 3
    assert all("ECONNREFUSED" in text for text in found)


async def test_a_signal_ends_what_is_under_way(service: Service) -> None:
    service.running = False
    found = await run_client(
        """
        const { job_id } = await client.upload([picture('a')]);
        const stop = new AbortController();
        const told = [];
        const following = caught((async () => {
          for await (const event of client.follow(job_id, { signal: stop.signal })) {
            told.push(event.type);
            stop.abort(new Error('enough'));
          }
        })());
        const late = caught(client.job(job_id, { signal: AbortSignal.abort(new Error('too late')) }));
        return [told, (await following).message, (await late).message, told];
        """,
        url=service.url,
    )
    assert found[1:] == ["enough", "too late", ["snapshot"]]


async def test_a_stream_that_is_left_is_closed(service: Service) -> None:
    """Else Node would wait for it, and never end."""
    service.running = False
    kind = await run_client(
        """
        const { job_id } = await client.upload([picture('a')]);
        for await (const event of client.follow(job_id)) return event.type;
        """,
        url=service.url,
    )
    assert kind == "snapshot"


async def test_a_comparison_needs_two_models() -> None:
    found = await run_client(
        """
        const calls = [client.compare([], ['m']), client.quoteComparison([], [])];
        return (await Promise.all(calls.map(caught))).map(({ message }) => message);
        """
    )
    assert found == ["A comparison needs two models or more. Use `upload` or `quote` for one."] * 2


async def test_names_that_would_make_one_object_of_two_are_refused_here(service: Service) -> None:
    found = await run_client(
        """
        const named = (...names) => names.map((name) => ({ name, views: [picture('a')] }));
        const calls = [['chair', 'chair'], ['a][front'], ['']].map((names) => client.upload(named(...names)));
        return (await Promise.all(calls.map(caught))).map(({ message }) => message);
        """,
        url=service.url,
    )
    assert found == [
        'Two objects are named "chair". Give each a name of its own.',
        '"a][front" must be 1 to 80 characters without brackets.',
        '"" must be 1 to 80 characters without brackets.',
    ]
    assert service.parts == []


async def test_wrong_address_or_key_is_said_when_the_client_is_made() -> None:
    found = await run_client(
        """
        const wrong = [{ url: 'nowhere' }, { url: 'http://x', key: 'a\\nb' }];
        const made = wrong.map(async (one) => new Client(one));
        return (await Promise.all(made.map(caught))).map(({ name }) => name);
        """
    )
    assert found == ["TypeError", "TypeError"]
