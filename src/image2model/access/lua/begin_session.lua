-- Begins a session of a key; beyond `limit` sessions the oldest one ends.
-- {cookie digest, key digest, ttl_s, limit}
local session, digest, ttl, limit = unpack(cmsgpack.unpack(ARGV[1]))
local all = K.sessions(digest)
call('SET', K.session(session), digest, 'EX', ttl)
call('ZADD', all, now_ms(), session)
call('EXPIRE', all, ttl)
local over = call('ZCARD', all) - limit
if over > 0 then
  for _, old in ipairs(call('ZRANGE', all, 0, over - 1)) do call('DEL', K.session(old)) end
  call('ZREMRANGEBYRANK', all, 0, over - 1)
end
