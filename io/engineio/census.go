package engineio

// Kind is what sessions have in common.
type Kind struct {
	Transport string
	Revision  Revision
}

// Census counts the sessions that are open now, by kind. It looks at each of them.
func (srv *Server) Census() map[Kind]int {
	all := make(map[Kind]int)
	for _, s := range srv.list() {
		all[Kind{s.Transport(), s.Revision()}]++
	}
	return all
}
