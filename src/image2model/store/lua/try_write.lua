-- Writes and deletes one key, to see whether the store takes writes.
call('SET', K.write_probe(), now_ms(), 'PX', 60000)
call('DEL', K.write_probe())
