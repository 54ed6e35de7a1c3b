-- Whether the store takes a write. It leaves nothing behind.
call('SET', K.write_probe(), now_ms(), 'PX', 60000)
call('DEL', K.write_probe())
