-- The process that decoded a suspect's picture died by itself, and only this picture was in it. {image_id, token}
-- Returns how often that was, once for each run however often it is told; 0: the fence is another's.
local id, token = unpack(cmsgpack.unpack(ARGV[1]))
if not holds_fence(id, token) then return 0 end
local image = K.image(id)
if call('HGET', image, 'crashed_by') ~= token then
  count_up(id, 'crashes')
  -- it has had its verdict: no worker's death is in doubt
  call('HSET', image, 'crashed_by', token, 'hazard', '', 'hazard_deaths', 1)
end
return num(call('HGET', image, 'crashes'))
