-- {kept until their end, to be deleted now, deleted in all, to be deleted and failed at least once, why the admin key is
-- refused, the last error, its time}
local state = call('HMGET', K.fal_deletion_state(), 'done', 'failing', 'refused', 'last_error', 'last_error_at')
return cmsgpack.pack({call('ZCARD', K.kept_at_fal()), call('ZCARD', K.fal_deletions()), num(state[1]), num(state[2]),
  text(state[3]), text(state[4]), num(state[5])})
