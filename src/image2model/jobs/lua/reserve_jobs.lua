-- Admits the jobs of one request, lists them, and reserves what they need: step 1 of three (ARCHITECTURE.md, "Cells").
-- `create_job` makes them next, and `end_reservation` ends the reservation, whatever became of them.
-- {token, owner, {{job_id, images, low, tokens}, ...}, micro, {{owner, key}, token, value, ttl, pending value} or
-- false, allowance or false}. `micro`: micro-dollars for all of them; the idempotency key has the `pending value`
-- until the end; `allowance`: see `admission_refusal`.
-- Returns {when they are made, {the first start tag of each job, ...}}, the same for the same token again; {0, {},
-- {reason, ...}}, where `lost` says that the idempotency key is no longer this request's; or {-1, {}} while processes of
-- data version 4 run: then `create_jobs_at_once` does all of it.
local token, owner, jobs, micro, idem, allowance = unpack(cmsgpack.unpack(ARGV[1]))
if data_version() < 5 then return cmsgpack.pack({-1, {}}) end
local known = reservation_of(token)
if known then return cmsgpack.pack({known[4], known[5]}) end
if idem and call('GET', K.idempotency(unpack(idem[1]))) ~= idem[2] then return cmsgpack.pack({0, {}, {'lost'}}) end
local count, at, scores = 0, now_ms(), {}
for _, job in ipairs(jobs) do count = count + job[2] end
local refused = admission_refusal(owner, allowance, count, micro, at)
if refused then return cmsgpack.pack({0, {}, refused}) end
for i, job in ipairs(jobs) do
  list_job(owner, job[1], job[4], at)
  scores[i] = next_start_tags(owner, job[3], job[2])
end
local bound = false
if idem then
  local name = K.idempotency(unpack(idem[1]))
  call('SET', name, idem[5], 'PX', GRACE_TTL)
  bound = {plain_name(name), idem[3], idem[4], idem[5]}
end
open_reservation(token, count, micro, {owner, allowance and allowance[5] or '', bound, at, scores})
return cmsgpack.pack({at, scores})
