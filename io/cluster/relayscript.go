package cluster

// batchArguments are those of relayScript.
func (r *Relay) batchArguments(batch []*parcel) []any {
	args := []any{r.node.Tag(), r.batch}
	for _, one := range batch {
		own := 0
		if one.own.Waiting {
			own = 1
		}
		n := len(one.users)
		if one.users == nil {
			n = -1
		}
		args = append(args, one.frame, own, n)
		for _, uid := range one.users {
			args = append(args, uid)
		}
	}
	return args
}

// relayScript: the node's tag and the number of a batch; then, for each push, the frame, 1 if the node's own stream is to have it
// too, and either -1, for the common stream, or the number of users and the users. A batch that has been added is not added again, as
// when its answer was lost. It answers the last position, the nodes whose lease has not ended, and for each push, unless it is for the common
// stream, the nodes that get it, and how many connections each user has on other nodes than this one.
//
// P:seq has the last batch of each node, P:u:<uid> the directory's entry of a user: n:<node> is "<connections>,<1 if there are some
// that can be recovered>,<epoch>"; l:<node> the position up to which a node that he has left still gets what is for him.
var relayScript = nodeScript("relay", `
	local batch = ARGV[4] .. ' ' .. ARGV[5]
	local again = redis.call('HGET', P .. ':seq', NODE) == batch
	if not again then redis.call('HSET', P .. ':seq', NODE, batch) end
	local answer = {'0', redis.call('ZRANGEBYSCORE', P .. ':nodes', '(' .. text(now()), '+inf')}
	local i = 6
	while i <= #ARGV do
		local frame, own, n = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
		i = i + 3
		local at = position()
		if n < 0 then
			if not again then append('all', frame, at) end
			answer[#answer + 1] = 0
		else
			local to, nodes, counts = {}, {}, {}
			if own == '1' then to[NODE] = true end
			for u = 1, n do
				local count, entry = 0, redis.call('HGETALL', P .. ':u:' .. ARGV[i])
				i = i + 1
				for f = 1, #entry, 2 do
					local kind, node, value = string.sub(entry[f], 1, 2), string.sub(entry[f], 3), entry[f + 1]
					if kind == 'l:' then
						if tonumber(value) >= at then to[node] = true end
					elseif kind == 'n:' and node ~= NODE then
						local connections, trails = string.match(value, '^(%d+),(%d)')
						count = count + tonumber(connections)
						if connections ~= '0' or trails == '1' then to[node] = true end
					end
				end
				counts[u] = count
			end
			for node in pairs(to) do
				nodes[#nodes + 1] = node
				if not again then append('s:' .. node, frame, at) end
			end
			answer[#answer + 1] = {nodes, counts}
		end
	end
	answer[1] = text(last)
	return answer
`)
