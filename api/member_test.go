package api

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"crier/io/hub"
)

// fullDisk fails to keep memberships.
type fullDisk struct{ err error }

func (d *fullDisk) AddMembership(_, _ string) error                   { return d.err }
func (d *fullDisk) RemoveMembership(_, _ string) error                { return d.err }
func (d *fullDisk) EachMembership(func(uid, room string) error) error { return nil }

func TestMembership(t *testing.T) {
	h := realHub(t)
	s := newServer(t, Options{Pusher: h})
	e := listen(t, h, "c", "a/b 中", "own")
	const path = "/v1/rooms/v%2Fip/users/a%2Fb%20%E4%B8%AD"
	for _, c := range []struct{ method, path, want string }{
		{"PUT", path, `{"room":"v/ip","uid":"a/b 中","member":true,"connections":1}`},
		{"PUT", path, `{"room":"v/ip","uid":"a/b 中","member":true,"connections":0}`},
		{"PUT", "/v1/rooms/v%2Fip/users/7", `{"room":"v/ip","uid":"7","member":true,"connections":0}`},
		{"GET", "/v1/users/a%2Fb%20%E4%B8%AD", `{"uid":"a/b 中","online":true,"rooms":["v/ip"],"connections":[{"id":"c","rooms":["own","v/ip"]}]}`},
		{"GET", "/v1/users/7", `{"uid":"7","online":false,"rooms":["v/ip"],"connections":[]}`},
		{"GET", "/v1/rooms/v%2Fip", `{"room":"v/ip","members":[{"connection":"c","uid":"a/b 中"},{"uid":"7"},{"uid":"a/b 中"}]}`},
		{"POST", "/v1/push", `"connections":1}`},
		{"DELETE", path, `{"room":"v/ip","uid":"a/b 中","member":false,"connections":1}`},
		{"DELETE", path, `{"room":"v/ip","uid":"a/b 中","member":false,"connections":0}`},
		{"POST", "/v1/push", `"connections":0}`},
	} {
		w := do(s, c.method, c.path, "", `{"to":{"rooms":["v/ip"]},"data":1}`)
		if w.Code != 200 || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %s", c.method, c.path, w.Code, w.Body, c.want)
		}
	}
	if n := len(e.take()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestMembershipErrors(t *testing.T) {
	var log strings.Builder
	disk := &fullDisk{errors.New("the disk is full")}
	h, err := hub.New(hub.Options{Memberships: disk})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{Pusher: h, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	listen(t, h, "c", "7")
	w := do(s, "PUT", "/v1/rooms/r/users/7", "", "")
	if detail := checkProblem(t, w, codeStoreFailed); strings.Contains(detail, "disk") || w.Header().Get("Retry-After") == "" {
		t.Errorf("the detail is %q, %v", detail, w.Header())
	}
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log is %q", log.String())
	}
	disk.err = nil
	for i := range hub.MaxMemberships {
		if w := do(s, "PUT", "/v1/rooms/r"+strconv.Itoa(i)+"/users/7", "", ""); w.Code != 200 {
			t.Fatal(w.Body)
		}
	}
	checkProblem(t, do(s, "PUT", "/v1/rooms/more/users/7", "", ""), codeTooMany)
	disk.err = errors.New("the disk is full")
	checkProblem(t, do(s, "DELETE", "/v1/rooms/r0/users/7", "", ""), codeStoreFailed)
	checkProblem(t, do(s, "PUT", "/v1/rooms/r/users/a%0A", "", ""), codeInvalidField)
	checkProblem(t, do(s, "DELETE", "/v1/rooms/r%0A/users/a", "", ""), codeInvalidField)
	w = do(s, "POST", "/v1/rooms/r/users/a", "", "")
	checkProblem(t, w, codeBadMethod)
	if allow := w.Header().Get("Allow"); allow != "DELETE, PUT" {
		t.Errorf("Allow: %s", allow)
	}
	checkProblem(t, do(newServer(t, Options{}), "PUT", "/v1/rooms/r/users/a", "", ""), codeUnsupported)
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, do(s, "PUT", "/v1/rooms/r/users/a", "", ""), codeStopping)
}

// lostRoster fails for a reason that nobody has thought of.
type lostRoster struct{ *hub.Hub }

func (lostRoster) AddMembership(context.Context, string, string) (int, error) {
	return 0, errors.New("lost")
}

func (lostRoster) RemoveMembership(context.Context, string, string) (int, error) {
	return 0, errors.New("lost")
}

func TestMembershipFails(t *testing.T) {
	s := newServer(t, Options{Pusher: lostRoster{realHub(t)}})
	for _, method := range []string{"PUT", "DELETE"} {
		checkProblem(t, do(s, method, "/v1/rooms/r/users/7", "", ""), codeInternal)
	}
}
