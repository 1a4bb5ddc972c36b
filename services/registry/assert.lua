-- Writes down that a pod owns a session, unless the record knows better: the highest epoch wins, and of two owners with one
-- epoch the recorded one.
--
-- KEYS[1] the session
-- ARGV[1] milliseconds the record lives on; ARGV[2] pod; ARGV[3] address; ARGV[4] incarnation; ARGV[5] epoch
-- Reply: {outcome, pod, address, incarnation, epoch}; outcome is kept (the caller's) or lost (another's)
local record = redis.call('HMGET', KEYS[1], 'pod', 'address', 'incarnation', 'epoch')
local owner = record[1] or ''
local recorded = tonumber(record[4] or '0')
local epoch = tonumber(ARGV[5])
if recorded > epoch or (recorded == epoch and owner ~= '' and (owner ~= ARGV[2] or record[3] ~= ARGV[4])) then
  if owner == ARGV[2] and record[3] == ARGV[4] then
    return {'kept', owner, record[2], record[3], record[4]}
  end
  return {'lost', owner, record[2] or '', record[3] or '', record[4]}
end
redis.call('HSET', KEYS[1], 'pod', ARGV[2], 'address', ARGV[3], 'incarnation', ARGV[4], 'epoch', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'kept', ARGV[2], ARGV[3], ARGV[4], ARGV[5]}
