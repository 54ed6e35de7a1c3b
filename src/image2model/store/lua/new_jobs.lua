-- New jobs, in their cell. Needs images.lua.

-- What is fetched for new jobs: {fetch_id, plan, {address, ...}, ttl}.
local function make_fetch(fetch_id, plan, addresses, ttl)
  call('HSET', K.fetch(fetch_id), 'plan', plan)
  for i, url in ipairs(addresses) do call('HSET', K.fetch(fetch_id), 'url:' .. i - 1, url) end
  call('PEXPIRE', K.fetch(fetch_id), ttl)
end

-- A job with its images in the queue from `score` on. `job`: {job_id, job_fields, {{image_id, image_fields, more_micro},
-- ...}, low, unit_micro, tokens}. `unit_micro`: micro-dollars set aside for each image, and `more_micro` for the
-- preparation of this one.
local function make_job(owner, job, score, allowance, at)
  local job_id, fields, images, _, unit = unpack(job)
  local ids = {}
  for i, image in ipairs(images) do ids[i] = image[1] end
  buffer_hash(K.job(job_id))
  call('HSET', K.job(job_id), 'owner', owner, 'total', #images, 'image_ids', table.concat(ids, ' '),
    'created_at', at, 'updated_at', at, 'version', 0, 'n_queued', #images, 'store', identity_field(),
    'owner_base', data_version() < 6 and '' or owner_base(owner), unpack(fields))
  open_job(job_id, owner, at)
  for i, image in ipairs(images) do
    buffer_hash(K.image(image[1]))
    call('HSET', K.image(image[1]), 'job_id', job_id, 'owner', owner, 'image_id', image[1], 'index', i - 1,
      'status', 'queued', 'attempt', 1, 'created_at', at, unpack(image[2]))
    open_account(image[1], owner, unit + image[3])
    note_budget(image[1], allowance)
    count_at_address(image[1], allowance)
    enqueue_image(image[1], score + i - 1, at)
  end
  for _, id in ipairs(ids) do emit_image(job_id, id, at) end
  expire_job(job_id, UNFINISHED_TTL)
  expire_images(job_id, UNFINISHED_TTL)
end

-- Whether one of the jobs was forbidden after a creation whose reply was lost.
local function forbids_any(jobs)
  for _, job in ipairs(jobs) do
    if call('EXISTS', K.forbidden(job[1])) == 1 then return true end
  end
  return false
end
