-- Looks up the jobs and the keys of many requests at once. {{job ids}, {{kind, digest}, ...}}
-- `kind` is `key` or `session`. Returns {jobs, keys}: jobs as read_jobs does; each key
-- {digest of the key, key_id, owner, role, rate, max_queued, budget_micro, budget_period, models}, all
-- strings; a key without a key_id is not valid. A key that has expired or was revoked returns no digest
-- either: the same text may be the admin key of the settings, and it must stay revoked.
local job_ids, credentials = unpack(cmsgpack.unpack(ARGV[1]))
local at, jobs, keys = now_ms(), {}, {}
for i, job_id in ipairs(job_ids) do jobs[i] = lookup_row(job_id) end
for i, credential in ipairs(credentials) do
  local digest = credential[2]
  if credential[1] == 'session' then digest = text(call('GET', K.session(digest))) end
  local row = digest ~= '' and valid_key(digest, at) or {}
  if not row[1] and digest ~= '' and call('EXISTS', K.api_key(digest)) == 1 then digest = '' end
  local key = {digest}
  for n = 1, 8 do key[n + 1] = text(row[n]) end
  keys[i] = key
end
return cmsgpack.pack({jobs, keys})
