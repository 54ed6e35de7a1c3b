-- Who asks and what for, for many requests at once. {{job ids}, {{kind, digest}, ...}}
-- `kind` is `key` or `session`. Returns {heads, keys}: heads as read_heads does; each key
-- {digest of the key, key_id, owner, role, rate, max_queued, budget_micro, budget_period}, texts;
-- without a key_id it is not good. A record that has ended tells no digest either: the same text may be
-- the first admin key of the settings, and whoever ended it meant it.
local job_ids, credentials = unpack(cmsgpack.unpack(ARGV[1]))
local at, heads, keys = now_ms(), {}, {}
for i, job_id in ipairs(job_ids) do heads[i] = lookup_row(job_id) end
for i, credential in ipairs(credentials) do
  local digest = credential[2]
  if credential[1] == 'session' then digest = text(call('GET', K.session(digest))) end
  local row = digest ~= '' and valid_key(digest, at) or {}
  if not row[1] and digest ~= '' and call('EXISTS', K.api_key(digest)) == 1 then digest = '' end
  local key = {digest}
  for n = 1, 7 do key[n + 1] = text(row[n]) end
  keys[i] = key
end
return cmsgpack.pack({heads, keys})
