"""Comparisons: one upload for several models, which becomes a job for each.

The money is decided for all of them together: `max_cost_usd` is the limit of the whole. Pure. Raises
InvalidParameter with what to do instead, PriceUnknown, BudgetExceeded.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from image2model.access.principal import Principal
from image2model.errors import InvalidParameter, Problem
from image2model.fal.endpoints import DEFAULT_MODEL, Endpoint
from image2model.http.upload import ReceivedBatch
from image2model.jobs.batch_request import (
    BatchRequest,
    Submission,
    objects_of,
    over_limit,
    read_fields,
    read_params,
    submission_of,
)
from image2model.jobs.objects import ReceivedObject
from image2model.settings import Settings

_PARAMS: Final = "params"


def models_of(batch: ReceivedBatch) -> tuple[str, ...]:
    """The models of a form, at least one. Raises InvalidParameter where it names one twice."""
    models = batch.models or (DEFAULT_MODEL,)
    if twice := next((one for one in models if models.count(one) > 1), None):
        raise InvalidParameter(
            f"`model` names {twice[:80]!r} twice. For several models of a picture by one endpoint, send "
            "`variants`."
        )
    return models


def read_requests(
    fields: Mapping[str, str],
    endpoints: Sequence[Endpoint],
    *,
    private_webhooks: bool,
    remover: Endpoint | None = None,
) -> tuple[BatchRequest, ...]:
    """What is requested of each endpoint. Raises InvalidParameter, which names the endpoint."""
    if len(endpoints) == 1:
        return (read_fields(fields, endpoints[0], private_webhooks=private_webhooks, remover=remover),)
    params = _params_by_model(fields, [one.id for one in endpoints])
    requests = []
    for endpoint in endpoints:
        own = {**fields, _PARAMS: params[endpoint.id]}
        try:
            requests.append(read_fields(own, endpoint, private_webhooks=private_webhooks, remover=remover))
        except InvalidParameter as problem:
            raise InvalidParameter(f"For {endpoint.id}: {problem.detail}") from problem
    return tuple(requests)


def _params_by_model(fields: Mapping[str, str], models: Sequence[str]) -> dict[str, str]:
    """The form's `params` for each model: its own where all keys are models, else the same for all."""
    text = fields.get(_PARAMS, "{}")
    given = read_params(text)
    if not given or not set(given) <= set(models):
        return dict.fromkeys(models, text)
    for model, own in given.items():
        if not isinstance(own, dict):
            raise InvalidParameter(f'`params` for {model} must be a JSON object such as {{"texture": "HD"}}.')
    return {model: msgspec.json.encode(given.get(model, {})).decode() for model in models}


def refusal(
    requests: Sequence[BatchRequest], objects: Sequence[ReceivedObject], *, dedupe: str
) -> Problem | None:
    """Why the whole cannot be bought; None where it can."""
    limit = requests[0].max_cost_micro
    for one in requests:
        if limit is None or len(requests) == 1:
            problem = one.refusal(one.images(len(objects)), one.cutouts(objects, dedupe=dedupe))
            if problem is not None:
                return problem
    micro = sum(_least(one, objects, dedupe) for one in requests)
    if limit is not None and micro > limit:
        return over_limit(sum(one.images(len(objects)) for one in requests), micro, limit, many=True)
    return None


def share_out(
    requests: Sequence[BatchRequest], objects: Sequence[ReceivedObject], *, dedupe: str
) -> tuple[BatchRequest, ...]:
    """The same with its part of `max_cost_usd` for each: its price and an equal share of what is left over.

    What is left over goes to the images whose price nobody knows, if there are any, else to all. The whole
    must not be refused.
    """
    limit, count = requests[0].max_cost_micro, len(objects)
    if limit is None or len(requests) == 1:
        return tuple(requests)
    unknown = [one for one in requests if one.estimate(1, one.cutouts(objects, dedupe=dedupe)) is None]
    sharing = {one.endpoint.id for one in unknown or requests}
    images = sum(one.images(count) for one in requests if one.endpoint.id in sharing)
    share = (limit - sum(_least(one, objects, dedupe) for one in requests)) // max(1, images)
    return tuple(
        msgspec.structs.replace(
            one,
            max_cost_micro=_least(one, objects, dedupe)
            + share * one.images(count) * (one.endpoint.id in sharing),
        )
        for one in requests
    )


def _least(request: BatchRequest, objects: Sequence[ReceivedObject], dedupe: str) -> int:
    """Micro-dollars that are set aside in any case."""
    cutouts = request.cutouts(objects, dedupe=dedupe)
    each = 0 if request.preparing is None else request.preparing.reservation()
    return request.endpoint.reservation(request.params) * request.images(len(objects)) + each * cutouts


def read_submissions(
    batch: ReceivedBatch,
    endpoints: Sequence[Endpoint],
    principal: Principal,
    settings: Settings,
    remover: Endpoint | None = None,
) -> tuple[Submission, ...]:
    """The batch as a submission for each endpoint. Raises the problem for which it is refused as a whole."""
    private = settings.webhook_allow_private
    requests = read_requests(batch.fields, endpoints, private_webhooks=private, remover=remover)
    if len(requests) > 1:
        objects = objects_of(batch, settings.max_files).good
        if not requests[0].skip_invalid or not objects:
            batch.refuse_bad()
        if (problem := refusal(requests, objects, dedupe=settings.dedupe)) is not None:
            raise problem
        requests = share_out(requests, objects, dedupe=settings.dedupe)
    return tuple(submission_of(batch, one, principal, settings) for one in requests)
