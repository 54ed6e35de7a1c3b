-- FAL answers again: the next image that is picked is the trial that shows whether FAL accepts it.
call('HSET', K.circuit(), 'trial', 1)
call('PEXPIRE', K.circuit(), FLEET_TTL)
notify_queue(GENERATION)
return 1
