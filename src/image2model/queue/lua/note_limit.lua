-- FAL has said how many requests of this account it runs at once. {limit}
local limit, at = unpack(cmsgpack.unpack(ARGV[1])), now_ms()
if learned_limit() ~= limit or call('HGET', K.fal_window(), 'source') ~= 'header' then
  set_limit(limit, 'header', at)
end
call('HSET', K.fal_window(), 'header_at', at)
return 1
