-- Writes a pod's lease.
--
-- KEYS[1] the lease
-- ARGV[1] milliseconds it lives
-- ARGV[2] 'take' to take the name over from another incarnation, 'hold' to renew only one's own or a missing lease
-- ARGV[3] the incarnation; ARGV[4..] field, value, …
-- Reply: {outcome, incarnation of the holder}; outcome is
--   held   the lease was there and one's own
--   new    it was not there, or taken over
--   other  a later process holds it; nothing was written
local holder = redis.call('HGET', KEYS[1], 'incarnation') or ''
if holder ~= '' and holder ~= ARGV[3] and ARGV[2] == 'hold' then return {'other', holder} end
if holder ~= ARGV[3] then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[3], unpack(ARGV, 4))
redis.call('HINCRBY', KEYS[1], 'beat', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if holder == ARGV[3] then return {'held', ARGV[3]} end
return {'new', ARGV[3]}
