package hub

import (
	"context"
	"fmt"
)

// Count returns how many users and connections a push to the audience would match now, and delivers nothing; the rest of
// the result is zero. It fails with ErrBadAudience, ErrBadUID, ErrBadRoom, ErrClosed or the error of ctx.
func (h *Hub) Count(ctx context.Context, a Audience) (Result, error) {
	err := a.check(0)
	if err == nil && h.closed.Load() {
		err = ErrClosed
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Result{}, fmt.Errorf("counting an audience: %w", err)
	}
	sc := h.newScratch()
	defer h.release(sc)
	sc.resolve(h, &a)
	return h.count(&a, sc), nil
}

// count says how many are on the list of sc, which the audience was resolved to.
func (h *Hub) count(a *Audience, sc *scratch) Result {
	r := Result{Connections: len(sc.list)}
	if a.All && a.Except == nil {
		r.Users = min(int(h.counter.users.Load()), len(sc.list))
	} else {
		r.Users = sc.countUsers()
	}
	return r
}
