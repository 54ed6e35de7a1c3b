-- The three steps of a request's jobs in one, while processes of data version 4 run: they know no reservations, and two
-- processes that look at the same budget must see each other's jobs.
-- {owner, jobs, {{owner, key}, idem_token, idem_value, idem_ttl} or false, allowance or false, newest, fetches}, see
-- `make_job`, `make_fetch` and `admission_refusal`.
-- Returns {when they were made}, the same for the same call again, or {0, {reason, ...}}; `lost`: the idempotency key
-- is no longer this request's, or a job was forbidden meanwhile; `old_processes`: it is for processes of data
-- version 4 only (`newest`), and a worker of an earlier one could take it, and buy something else.
local owner, jobs, idem, allowance, newest, fetches = unpack(cmsgpack.unpack(ARGV[1]))
local made_at = call('HGET', K.job(jobs[1][1]), 'created_at')
if made_at then return cmsgpack.pack({num(made_at)}) end
if forbids_any(jobs) then return cmsgpack.pack({0, {'lost'}}) end
if idem and call('GET', K.idempotency(unpack(idem[1]))) ~= idem[2] then return cmsgpack.pack({0, {'lost'}}) end
if newest and data_version() < 4 then return cmsgpack.pack({0, {'old_processes'}}) end
local count, micro, at = 0, 0, now_ms()
for _, job in ipairs(jobs) do
  count = count + #job[3]
  for _, image in ipairs(job[3]) do micro = micro + job[5] + image[3] end
end
local refused = admission_refusal(owner, allowance, count, micro, at)
if refused then return cmsgpack.pack({0, refused}) end
for _, fetch in ipairs(fetches) do make_fetch(unpack(fetch)) end
for _, job in ipairs(jobs) do
  list_job(owner, job[1], job[6], at)
  make_job(owner, job, next_start_tags(owner, job[4], #job[3]), allowance, at)
end
if idem then call('SET', K.idempotency(unpack(idem[1])), idem[3], 'PX', idem[4]) end
return cmsgpack.pack({at})
