package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"
)

const (
	// sessionTime is how long somebody stays signed in at the dashboard.
	sessionTime = 12 * time.Hour
	// sessionsOfKey is how many sessions one key can have; the oldest makes room for a newer one.
	sessionsOfKey = 32
)

// session is somebody who has signed in at the dashboard with a key. It never changes.
type session struct {
	key   [sha256.Size]byte // hash of the key, which has to be one of api.keys for as long as the session is used
	token string            // what pages of the dashboard send beside the cookie, to show that they are ours
	ends  time.Time
}

// sessions are those of the dashboard, by the hash of the secret in their cookies. They end with the process.
type sessions struct {
	mu sync.Mutex
	by map[[sha256.Size]byte]session // guarded by mu
}

// open begins a session of a key and returns the secret for its cookie.
func (t *sessions) open(key [sha256.Size]byte) (secret string, made session) {
	secret, made = rand.Text(), session{key: key, token: rand.Text(), ends: time.Now().Add(sessionTime)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[[sha256.Size]byte]session)
	}
	t.makeRoom(key)
	t.by[sha256.Sum256([]byte(secret))] = made
	return secret, made
}

// makeRoom forgets sessions that have ended and, if the key has as many as it may, its oldest. Called with mu held.
func (t *sessions) makeRoom(key [sha256.Size]byte) {
	now, n := time.Now(), 0
	var oldest [sha256.Size]byte
	for name, one := range t.by {
		switch {
		case !now.Before(one.ends):
			delete(t.by, name)
		case one.key == key:
			if n++; n == 1 || one.ends.Before(t.by[oldest].ends) {
				oldest = name
			}
		}
	}
	if n >= sessionsOfKey {
		delete(t.by, oldest)
	}
}

// find returns the session whose cookie has that secret.
func (t *sessions) find(secret string) (session, bool) {
	if secret == "" {
		return session{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found, there := t.by[sha256.Sum256([]byte(secret))]
	return found, there && time.Now().Before(found.ends)
}

// end forgets a session.
func (t *sessions) end(secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, sha256.Sum256([]byte(secret)))
}

// sameToken compares without telling by its time where two differ.
func sameToken(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
