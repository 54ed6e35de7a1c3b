-- API keys, and what their owners may use: shared by all scripts, after base.lua.

local TOUCH_EVERY = 60000

-- A key's record while it is good, else nothing. Notes its use, at most once a minute.
local function good_key(digest, at)
  local name = K.api_key(digest)
  local row = call('HMGET', name, 'key_id', 'owner', 'role', 'rate', 'max_queued', 'budget_micro', 'budget_period',
    'revoked_at', 'expires_at', 'last_used_at')
  if not row[1] or text(row[8]) ~= '' then return nil end
  if num(row[9]) > 0 and num(row[9]) <= at then return nil end
  if at - num(row[10]) >= TOUCH_EVERY then call('HSET', name, 'last_used_at', at) end
  return row
end
