-- Creates a job as a whole: its hashes, its tasks in the queue, its events, its idempotency record.
-- {job_id, owner, job_fields, {{image_id, image_fields, more_micro}, ...}, low,
-- {idem_key, idem_token, idem_value, idem_ttl} or false, unit_micro, allowance or false, tokens, newest}. `unit_micro`:
-- micro-dollars set aside for each image, and `more_micro` for the preparation of this one; `allowance`: see
-- `admission_refusal`; `tokens`: see `index_metadata`.
-- Returns {when it was made}, the same for the same call again, or {0, {reason, ...}}; `lost`: the idempotency key
-- is no longer this request's, or the job was forbidden meanwhile; `old_processes`: it is for processes of data
-- version 4 only (`newest`), and a worker of an earlier one could take it, and buy something else.
local job_id, owner, fields, images, low, idem, unit, allowance, tokens, newest = unpack(cmsgpack.unpack(ARGV[1]))
local made_at = call('HGET', K.job(job_id), 'created_at')
if made_at then return cmsgpack.pack({num(made_at)}) end
if call('EXISTS', K.lock('job:' .. job_id)) == 1 then return cmsgpack.pack({0, {'lost'}}) end
if idem and call('GET', idem[1]) ~= idem[2] then return cmsgpack.pack({0, {'lost'}}) end
if newest and data_version() < 4 then return cmsgpack.pack({0, {'old_processes'}}) end
local at = now_ms()
local micro = 0
for _, image in ipairs(images) do micro = micro + unit + image[3] end
local refused = admission_refusal(owner, allowance, #images, micro, at)
if refused then return cmsgpack.pack({0, refused}) end
local ids = {}
for i, image in ipairs(images) do ids[i] = image[1] end
call('HSET', K.job(job_id), 'owner', owner, 'total', #images, 'image_ids', table.concat(ids, ' '),
  'created_at', at, 'updated_at', at, 'version', 0, 'n_queued', #images, unpack(fields))
open_job(job_id, owner, at)
call('ZADD', K.owner_jobs(owner), at, job_id)
call('PEXPIRE', K.owner_jobs(owner), FLEET_TTL)
call('SADD', K.owners(), owner)
call('PEXPIRE', K.owners(), FLEET_TTL)
index_metadata(job_id, owner, tokens, at)
for i, image in ipairs(images) do
  call('HSET', K.image(image[1]), 'job_id', job_id, 'owner', owner, 'image_id', image[1], 'index', i - 1,
    'status', 'queued', 'attempt', 1, 'created_at', at, unpack(image[2]))
  open_account(image[1], owner, unit + image[3])
  note_budget(image[1], allowance)
  count_at_address(image[1], allowance)
  enqueue(GENERATION, image[1], 'generate_model', image[1], next_start_tag(owner, low), at)
end
for _, id in ipairs(ids) do emit_image(job_id, id, at) end
expire_job(job_id, UNFINISHED_TTL)
if idem then call('SET', idem[1], idem[3], 'PX', idem[4]) end
return cmsgpack.pack({at})
