package hub

// Warmer is what a Conn may be in addition: one whose memory can be fetched before there is a message for it.
type Warmer interface {
	// Warm reads what sending will. It does nothing else, and waits for nobody.
	Warm()
}

// abreast is for how many users Warm fetches at once: a processor has room for about as many lines of a cache that are on their way.
const abreast = 16

// Warm has the processor fetch what pushes to these users will need, for several at once: of many users' memory little is in a cache,
// and a push would wait for one line of it after the other. Of a user with several connections it is the first. It is worth a
// twentieth to a tenth of a line of many (docs/BENCHMARKS.md), and nothing of a single push.
func (h *Hub) Warm(uids []string) {
	var list [abreast]*Member
	for len(uids) > 0 {
		n := 0
		for _, uid := range uids[:min(len(uids), abreast)] {
			s := h.indexes.userShard(uid)
			s.mu.Lock()
			if u := s.byUID[uid]; u != nil && len(u.members.list) > 0 {
				list[n] = u.members.list[0]
				n++
			}
			s.mu.Unlock()
		}
		// No lock is taken from here on: the processor would wait for all that it has begun to fetch.
		for _, m := range list[:n] {
			if c, ok := m.conn.(Warmer); ok {
				c.Warm()
			}
		}
		uids = uids[min(len(uids), abreast):]
	}
}
