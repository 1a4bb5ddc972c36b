-- Takes the owner out of a session's record if its lease is gone. The epoch stays until the record expires, so that the next
-- owner's is higher.
--
-- KEYS[1] the session; KEYS[2] the owner's lease
-- ARGV[1] the owner's name; ARGV[2] its incarnation, both as read before
-- Reply: 1 if it was taken out
local record = redis.call('HMGET', KEYS[1], 'pod', 'incarnation')
if record[1] ~= ARGV[1] or record[2] ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[2], 'incarnation') == ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'pod', 'address', 'incarnation')
return 1
