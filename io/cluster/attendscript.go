package cluster

// directory is what the scripts of the directory have in common.
//
//	look(uid)                      the user's key, how many other nodes have him, with how many connections, what this one says of him, whether he is online
//	counted(was, is)               that a user who had so many connections has so many now
//	tell(key, head, tail)          gives a change its version, and adds the callback, if there is one
//	forget(key)                    lets go of a user whom no node has, when nothing goes to a stream for him any more
//	finish()                       writes the counts, and returns them
//	ended(node, epoch, why, delay) that a node has gone: its users, unless they are elsewhere, will go offline so many microseconds after release has seen them
const directory = `
local users, connections = 0, 0
local function count(value) return tonumber(string.match(value, '^%d+')) end
local function look(uid, node)
	local key, own = P .. ':u:' .. uid, 'n:' .. node
	local fields = redis.call('HGETALL', key)
	local others, sum, mine, on = 0, 0, false, false
	for i = 1, #fields, 2 do
		local name, value = fields[i], fields[i + 1]
		if name == own then
			mine = value
		elseif name == 'on' then
			on = true
		elseif string.sub(name, 1, 2) == 'n:' then
			others = others + 1
			sum = sum + count(value)
		elseif string.sub(name, 1, 2) == 'l:' and tonumber(value) < now() then
			redis.call('HDEL', key, name)
		end
	end
	return key, others, sum, mine, on
end
local function counted(was, is)
	connections = connections + is - was
	if is > 0 and was == 0 then users = users + 1 elseif is == 0 and was > 0 then users = users - 1 end
end
local function tell(key, head, tail)
	local version = text(position())
	redis.call('HSET', key, 'v', version)
	if head ~= '' then redis.call('XADD', P .. ':j', version .. '-0', 'm', head .. version .. tail) end
end
local function forget(key)
	local fields, limit = redis.call('HGETALL', key), 0
	for i = 1, #fields, 2 do
		if string.sub(fields[i], 1, 2) == 'l:' then limit = math.max(limit, tonumber(fields[i + 1])) end
	end
	if limit > now() then
		redis.call('PEXPIRE', key, text(math.ceil((limit - now()) / 1000)))
	else
		redis.call('DEL', key)
	end
end
local function finish()
	local key = P .. ':online'
	return redis.call('HINCRBY', key, 'users', users), redis.call('HINCRBY', key, 'connections', connections)
end
local function ended(node, epoch, why, delay)
	redis.call('ZREM', P .. ':nodes', node)
	redis.call('DEL', P .. ':n:' .. node)
	redis.call('HSET', P .. ':ended', epoch .. ':' .. node, why .. ' ' .. text(delay))
	if redis.call('EXISTS', P .. ':ins:' .. epoch .. ':' .. node) == 1 then redis.call('ZADD', P .. ':out', text(now() + delay), epoch .. ':' .. node) end
end
`

// attendScript tells the directory of changes. Its arguments: the number of the batch, the window in microseconds, the entry for
// KindHere, how many callbacks may wait; then for each change the uid, + or -, how many connections, 1 with a trail, the cause, and
// the two parts of the job. It answers a position, and how many users and connections there are: the position is that of the entry that was
// added since something comes to this node that has not come before, or 0. A batch that has been told of already changes nothing.
var attendScript = nodeScript("attend", directory+`
	local number, window, here, most = ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
	local registered = P .. ':n:' .. NODE
	local done = redis.call('HMGET', registered, 'batch', 'at')
	if done[1] == number then
		local users, connections = finish()
		return {tonumber(done[2]), users, connections}
	end
	if redis.call('XLEN', P .. ':j') >= most then return redis.error_reply('FULL too many callbacks wait') end
	local added = false
	local mates = P .. ':nu:' .. NODE .. ':' .. EPOCH
	for i = 8, #ARGV, 7 do
		local uid, sign, has, trail, _, head, tail = unpack(ARGV, i, i + 6)
		local key, others, sum, mine, on = look(uid, NODE)
		local was = sum + (mine and count(mine) or 0)
		if sign == '+' then
			local is = tonumber(has)
			local had, trailed, of = string.match(mine or '', '^(%d+),(%d),(%d+)$')
			added = added or of ~= EPOCH or is > 0 and had == '0' or trail ~= trailed
			redis.call('HSET', key, 'n:' .. NODE, has .. ',' .. trail .. ',' .. EPOCH)
			redis.call('SADD', mates, uid)
			if not on then
				redis.call('HSET', key, 'on', '1')
				redis.call('PERSIST', key)
				tell(key, head, tail)
			elseif not mine and others == 0 then
				redis.call('ZREM', P .. ':due', uid)
				redis.call('HDEL', key, 'd')
				redis.call('PERSIST', key)
			end
			counted(was, sum + is)
		elseif mine then
			redis.call('HDEL', key, 'n:' .. NODE)
			redis.call('SREM', mates, uid)
			if trail == '1' then redis.call('HSET', key, 'l:' .. NODE, text(now() + window)) end
			if others == 0 and on then
				redis.call('HDEL', key, 'on')
				tell(key, head, tail)
				forget(key)
			end
			counted(was, sum)
		end
	end
	local at = 0
	if added then at = append('s:' .. NODE, here) end
	redis.call('HSET', registered, 'batch', number, 'at', text(at))
	local users, connections = finish()
	return {at, users, connections}
`)

// fenceScript gives up the nodes whose leases have ended: the length of a lease and the grace, in microseconds, and 1 if this is to be done. If all those
// who are there now have come since such a node was last heard of, all had gone, and nobody goes offline before the grace is over. It answers
// how many nodes were given up, how many have gone whose users are still to be released, and how many users and connections there are.
var fenceScript = nodeScript("fence", directory+`
	local lease, grace = tonumber(ARGV[4]), tonumber(ARGV[5])
	local gone = {}
	if ARGV[6] == '1' then gone = redis.call('ZRANGEBYSCORE', P .. ':nodes', '-inf', text(now()), 'WITHSCORES') end
	if #gone > 0 then
		local oldest = now()
		for _, node in ipairs(redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')) do
			oldest = math.min(oldest, tonumber(redis.call('HGET', P .. ':n:' .. node, 'started') or oldest))
		end
		for i = 1, #gone, 2 do
			if tonumber(gone[i + 1]) - lease < oldest then
				local limit = math.max(oldest + grace, tonumber(redis.call('GET', P .. ':grace') or '0'))
				if limit > now() then redis.call('SET', P .. ':grace', text(limit), 'PX', text(math.ceil((limit - now()) / 1000))) end
			end
			ended(gone[i], redis.call('HGET', P .. ':n:' .. gone[i], 'epoch') or '0', 'node', 0)
		end
	end
	local users, connections = finish()
	return {#gone / 2, redis.call('HLEN', P .. ':ended'), users, connections}
`)

// streams is forgetStreams(), for scripts: the entries of a node's stream are counted as long as it can come back to that and read on, as one
// does that has stood still; those of nodes that have gone for good, no longer.
const streams = `
local function forgetStreams()
	for _, stream in ipairs(redis.call('HKEYS', P .. ':count')) do
		local node = string.match(stream, '^s:(.*)$')
		if node and redis.call('EXISTS', P .. ':' .. stream, P .. ':n:' .. node) == 0 then
			redis.call('HDEL', P .. ':count', stream)
			redis.call('HDEL', P .. ':seq', node)
		end
	end
end
`

// releaseScript takes users from a node that has gone: the window in microseconds, and how many. It answers how many it has
// taken, or whether there are none left.
var releaseScript = nodeScript("release", directory+streams+`
	local window, most = tonumber(ARGV[4]), tonumber(ARGV[5])
	local name = redis.call('HRANDFIELD', P .. ':ended')
	if not name then return 0 end
	local epoch, node = string.match(name, '^(%d+):(.*)$')
	local why, delay = string.match(redis.call('HGET', P .. ':ended', name), '^(%S+) (%d+)$')
	local uids = redis.call('SPOP', P .. ':nu:' .. node .. ':' .. epoch, most)
	for _, uid in ipairs(uids) do
		local key, others, sum, mine, on = look(uid, node)
		local connected, trail, of = string.match(mine or '', '^(%d+),(%d),(%d+)$')
		if of == epoch then
			redis.call('HDEL', key, 'n:' .. node)
			if trail == '1' then redis.call('HSET', key, 'l:' .. node, text(now() + window)) end
			counted(sum + connected, sum)
			if others == 0 and on then
				redis.call('ZADD', P .. ':due', text(now() + delay), uid)
				redis.call('HSET', key, 'd', why)
			end
		end
	end
	finish()
	if #uids == 0 then
		redis.call('HDEL', P .. ':ended', name)
		forgetStreams()
	end
	return 1
`)

// dueScript answers the users who are to go offline, up to so many, each with the cause.
var dueScript = nodeScript("due", `
	if now() < tonumber(redis.call('GET', P .. ':grace') or '0') then return {} end
	local list = {}
	for _, uid in ipairs(redis.call('ZRANGEBYSCORE', P .. ':due', '-inf', text(now()), 'LIMIT', 0, ARGV[4])) do
		list[#list + 1] = uid
		list[#list + 1] = redis.call('HGET', P .. ':u:' .. uid, 'd') or 'node'
	end
	return list
`)

// lapseScript has users go offline who are still due: for each the uid and the parts of the callback. It answers how many.
var lapseScript = nodeScript("lapse", directory+`
	local lapsed = 0
	for i = 4, #ARGV, 3 do
		local uid, head, tail = ARGV[i], ARGV[i + 1], ARGV[i + 2]
		local due = tonumber(redis.call('ZSCORE', P .. ':due', uid) or 'inf')
		if due <= now() then
			redis.call('ZREM', P .. ':due', uid)
			local key, others, _, mine, on = look(uid, NODE)
			redis.call('HDEL', key, 'd')
			if on and others == 0 and not mine then
				redis.call('HDEL', key, 'on')
				tell(key, head, tail)
				forget(key)
				lapsed = lapsed + 1
			end
		end
	end
	return lapsed
`)
