-- The prepared pictures wait for a client's confirmation: out of sight of every pick, without a lease and a permit.
-- {image_id, token, within_ms} Returns 1; 2 if they are confirmed by now: the holder goes on; 0 if another worker holds
-- the image; -1 if a cancel was requested, which ends it here.
local id, token, within = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
local image, at = K.image(id), now_ms()
local row = call('HMGET', image, 'preparation', 'cancel_requested', 'confirm_by', 'digest')
if cjson.decode(row[1]).confirmed then return 2 end
if text(row[2]) == '1' then
  move(id, 'cancelled', {}, at)
  return -1
end
local by = num(row[3]) > 0 and num(row[3]) or at + within
release_permit(id)
-- others with the same content must not wait for as long
stop_leading(id, text(row[4]))
if has_arq_keys(GENERATION) then call('DEL', ARQ_IN_PROGRESS .. id) end
call('ZREM', K.leases(GENERATION), id)
call('ZADD', ARQ_QUEUE .. GENERATION, AWAITING_CONFIRMATION, id)
call('ZADD', K.confirmations(), by, id)
call('PEXPIRE', K.confirmations(), FLEET_TTL)
move(id, 'queued', {'fence', '', 'hazard', '', 'confirm_by', by, 'start_tries', 0, 'first_try_at', ''}, at)
return 1
