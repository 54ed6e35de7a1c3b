-- Creates the jobs of one request as a whole: their hashes, their tasks in the queue, their events, the request's
-- idempotency record, and what is fetched for them first. All are made, or none.
-- {owner, {{job_id, job_fields, {{image_id, image_fields, more_micro}, ...}, low, unit_micro, tokens}, ...},
-- {idem_key, idem_token, idem_value, idem_ttl} or false, allowance or false, newest, {{fetch_id, plan, {address, ...},
-- ttl}, ...}}. `unit_micro`: micro-dollars set aside
-- for each image, and `more_micro` for the preparation of this one; `tokens`: see `index_metadata`; `allowance`: see
-- `admission_refusal`.
-- Returns {when they were made}, the same for the same call again, or {0, {reason, ...}}; `lost`: the idempotency key
-- is no longer this request's, or a job was forbidden meanwhile; `old_processes`: it is for processes of data
-- version 4 only (`newest`), and a worker of an earlier one could take it, and buy something else.
local owner, jobs, idem, allowance, newest, fetches = unpack(cmsgpack.unpack(ARGV[1]))
local made_at = call('HGET', K.job(jobs[1][1]), 'created_at')
if made_at then return cmsgpack.pack({num(made_at)}) end
local count, micro = 0, 0
for _, job in ipairs(jobs) do
  local job_id, _, images, _, unit = unpack(job)
  if call('EXISTS', K.lock('job:' .. job_id)) == 1 then return cmsgpack.pack({0, {'lost'}}) end
  count = count + #images
  for _, image in ipairs(images) do micro = micro + unit + image[3] end
end
if idem and call('GET', idem[1]) ~= idem[2] then return cmsgpack.pack({0, {'lost'}}) end
if newest and data_version() < 4 then return cmsgpack.pack({0, {'old_processes'}}) end
local at = now_ms()
local refused = admission_refusal(owner, allowance, count, micro, at)
if refused then return cmsgpack.pack({0, refused}) end

local function create(job_id, fields, images, low, unit, tokens)
  local ids = {}
  for i, image in ipairs(images) do ids[i] = image[1] end
  buffer_hash(K.job(job_id))
  call('HSET', K.job(job_id), 'owner', owner, 'total', #images, 'image_ids', table.concat(ids, ' '),
    'created_at', at, 'updated_at', at, 'version', 0, 'n_queued', #images, unpack(fields))
  open_job(job_id, owner, at)
  call('ZADD', K.owner_jobs(owner), at, job_id)
  index_metadata(job_id, owner, tokens, at)
  local first_tag = next_start_tags(owner, low, #images)
  for i, image in ipairs(images) do
    buffer_hash(K.image(image[1]))
    call('HSET', K.image(image[1]), 'job_id', job_id, 'owner', owner, 'image_id', image[1], 'index', i - 1,
      'status', 'queued', 'attempt', 1, 'created_at', at, unpack(image[2]))
    open_account(image[1], owner, unit + image[3])
    note_budget(image[1], allowance)
    count_at_address(image[1], allowance)
    enqueue_image(image[1], first_tag + i - 1, at)
  end
  for _, id in ipairs(ids) do emit_image(job_id, id, at) end
  expire_job(job_id, UNFINISHED_TTL)
end

for _, fetch in ipairs(fetches) do
  local fetch_id, plan, addresses, ttl = unpack(fetch)
  call('HSET', K.fetch(fetch_id), 'plan', plan)
  for i, url in ipairs(addresses) do call('HSET', K.fetch(fetch_id), 'url:' .. i - 1, url) end
  call('PEXPIRE', K.fetch(fetch_id), ttl)
end
for _, job in ipairs(jobs) do create(unpack(job)) end
call('PEXPIRE', K.owner_jobs(owner), FLEET_TTL)
call('SADD', K.owners(), owner)
call('PEXPIRE', K.owners(), FLEET_TTL)
if idem then call('SET', idem[1], idem[3], 'PX', idem[4]) end
return cmsgpack.pack({at})
