-- look returns the record of a message: of ARGV[5], a mid, or else, unless ARGV[6] is empty, of one that another caller gave
-- that id, ARGV[6]; and what the time is in ms. It is nothing if there is none.

local mid = ARGV[5]
if redis.call('EXISTS', K .. 'm:' .. mid) == 0 then
  if ARGV[6] == '' then return false end
  mid = ':' .. ARGV[6]
  if redis.call('EXISTS', K .. 'm:' .. mid) == 0 then mid = redis.call('GET', K .. 'ms:' .. ARGV[6]) end
  if not mid then return false end
end
return {text(ms), redis.call('HGETALL', K .. 'm:' .. mid)}
