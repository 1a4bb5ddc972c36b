-- Deletes a pod's lease if it is the caller's own.
-- KEYS[1] the lease; ARGV[1] the incarnation
if redis.call('HGET', KEYS[1], 'incarnation') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
