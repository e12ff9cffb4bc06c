package engineio

// Kind is what sessions have in common.
type Kind struct {
	Transport string
	Revision  Revision
}

// Census counts the sessions that are open now, by kind. It looks at each of them.
func (srv *Server) Census() map[Kind]int {
	all := make(map[Kind]int)
	srv.each(func(s *Session) { all[Kind{s.Transport(), s.Revision()}]++ })
	return all
}

// each calls fn for the sessions that have not ended, without a lock. Whoever watches the server does so again and again: a list
// made anew each time would be most of the garbage of idle clients.
func (srv *Server) each(fn func(s *Session)) {
	list, ok := srv.lists.Get().(*[]*Session)
	if !ok {
		list = new([]*Session)
	}
	*list = srv.appendTo((*list)[:0])
	for _, s := range *list {
		fn(s)
	}
	clear(*list)
	srv.lists.Put(list)
}
