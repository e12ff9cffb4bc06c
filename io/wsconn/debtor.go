package wsconn

// settle tells the Budget what waits. mu is held.
func (o *output) settle() {
	if o.out != nil {
		o.up.o.Budget.Charge(&o.out.account, (*debtor)(o), o.out.kept())
	}
}

// drop lets go of the queue, with what is in it. mu is held.
func (o *output) drop() {
	if o.out != nil {
		o.up.o.Budget.Charge(&o.out.account, (*debtor)(o), 0)
		o.out = nil
	}
}

// Discard drops what waits, but for what may have been written in part, and that too, with the connection, if it is much or the
// connection is closing. It is for who ends the connection then, and wants to say why; Send takes nothing more, since there would
// be a gap before it that nobody could tell.
func (o *output) Discard() {
	o.mu.Lock()
	o.discarded = true
	ends := false
	if o.out != nil && !o.held() {
		ends = o.load() != open || o.out.cut(recordSize) > joinSize
		o.settle()
	}
	o.mu.Unlock()
	if ends {
		o.abort(errEvicted)
	}
}

// debtor is an output as the Budget sees it.
type debtor output

// evictable is what the poller has of an output.
type evictable interface {
	// evictee is who may be an [Evictee].
	evictee() any
}

// Evict implements [Evictee]: it leaves that to the connection's handler, if it can.
func (d *debtor) Evict() {
	o := (*output)(d)
	if v, ok := o.nc.Handler().(evictable); ok {
		if e, ok := v.evictee().(Evictee); ok {
			e.Evict()
			return
		}
	}
	o.abort(errEvicted)
}
