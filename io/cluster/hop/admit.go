package hop

import (
	"net/http"
	"time"
)

// Passed is what is known of a request that another server has passed on.
type Passed struct {
	Kind  Kind
	Extra string // what that server says besides
}

// Admit looks whether another server has passed r on. If so it returns the request as that server got it, from the address that
// it came from, and what the server says; else r and nil. A badge that does not count is refused: then ok is false, and the
// request has been answered.
func (p *Passer) Admit(w http.ResponseWriter, r *http.Request) (as *http.Request, passed *Passed, ok bool) {
	if _, found := r.Header[header]; !found {
		return r, nil, true
	}
	b, err := check(p.o.Owners.Secrets(r.Context()), r, time.Now())
	status := http.StatusForbidden
	if err == nil && b.to != p.o.Tag {
		err, status = errTarget, http.StatusMisdirectedRequest
	}
	if err != nil {
		p.log.Warn("refused a request that seemed to come from another server", "remote", r.RemoteAddr, "error", err)
		p.Refuse(w, status, err.Error())
		return nil, nil, false
	}
	as = r.WithContext(r.Context()) // a copy
	as.Header = r.Header.Clone()
	as.Header.Del(header)
	as.RemoteAddr = b.peer
	return as, &Passed{Kind: b.kind, Extra: b.extra}, true
}

// Refuse answers a request that another server has passed on, so that this one answers it instead.
func (p *Passer) Refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set(header, why)
	http.Error(w, why, status)
}
