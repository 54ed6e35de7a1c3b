-- A new session of a key; beyond `most` the oldest one ends. {digest of the cookie, key's digest, life_s, most}
local session, digest, life, most = unpack(cmsgpack.unpack(ARGV[1]))
local all = K.sessions(digest)
call('SET', K.session(session), digest, 'EX', life)
call('ZADD', all, now_ms(), session)
call('EXPIRE', all, life)
local over = call('ZCARD', all) - most
if over > 0 then
  for _, old in ipairs(call('ZRANGE', all, 0, over - 1)) do call('DEL', K.session(old)) end
  call('ZREMRANGEBYRANK', all, 0, over - 1)
end
