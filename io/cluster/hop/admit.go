package hop

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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
	b, status, err := p.admit(w, r)
	if err != nil {
		p.log.Log(r.Context(), p.seldom(&p.warned), "refused a request that seemed to come from another server", "remote", r.RemoteAddr, "error", err)
		p.Refuse(w, status, err.Error())
		return nil, nil, false
	}
	as = r.WithContext(r.Context()) // a copy
	as.Header = r.Header.Clone()
	as.Header.Del(header)
	as.RemoteAddr = b.peer
	return as, &Passed{Kind: b.kind, Extra: b.extra}, true
}

// admit reads the badge of a request and its body. With the error there is the status of the answer.
func (p *Passer) admit(w http.ResponseWriter, r *http.Request) (b badge, status int, err error) {
	now := time.Now()
	if b, err = check(p.o.Owners.Secrets(r.Context()), r, now); err != nil {
		return b, http.StatusForbidden, err
	}
	if b.to != p.o.Tag {
		return b, http.StatusMisdirectedRequest, errTarget
	}
	if !p.used.take(b.from, b.number, now) {
		return b, http.StatusForbidden, errAgain
	}
	sum, err := p.read(w, r, b.kind)
	if err != nil {
		return b, http.StatusBadRequest, err
	}
	if sum != b.body {
		return b, http.StatusBadRequest, errBody
	}
	return b, 0, nil
}

// read reads the body of a request, or so much of it that it is seen to be too large, puts it back, and returns its hash.
func (p *Passer) read(w http.ResponseWriter, r *http.Request, kind Kind) (sum [sha256.Size]byte, err error) {
	if r.Body == nil || r.Body == http.NoBody || r.Header.Get("Upgrade") != "" {
		return sha256.Sum256(nil), nil
	}
	most := p.o.MaxPayload
	if kind == Call {
		most = p.o.MaxCall
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(p.o.AnswerTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return sum, fmt.Errorf("reading a body: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return sum, fmt.Errorf("reading a body: %w", err)
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return sum, fmt.Errorf("reading a body: %w", err)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return sha256.Sum256(body), nil
}

// Refuse answers a request that another server has passed on, so that this one answers it instead.
func (p *Passer) Refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set(header, why)
	http.Error(w, why, status)
}
