-- Ends a reservation. {token, made} `made`: its jobs exist, and the idempotency key stands for them from now on; else it is
-- free again. Their entries in lists go when housekeeping finds no job for them.
-- Returns 1, or 0 where it has ended already.
local token, made = unpack(cmsgpack.unpack(ARGV[1]))
local entry = close_reservation(token)
if not entry then return 0 end
local idem = entry[3]
if idem and call('GET', idem[1]) == idem[4] then
  if made then
    call('SET', idem[1], idem[2], 'PX', idem[3])
  else
    call('DEL', idem[1])
  end
end
return 1
