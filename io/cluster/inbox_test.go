package cluster

import (
	"testing"

	"crier/io/hub/inboxtest"
)

// newTestInbox returns the inbox of a node; the test's end closes it.
func newTestInbox(t testing.TB, n *Node, o InboxOptions) *Inbox {
	t.Helper()
	await(t, "Redis is there", n.Client().Up)
	o.Node = n
	q, err := NewInbox(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func TestInboxAsEveryOther(t *testing.T) {
	inboxtest.Run(t, func(t *testing.T, b inboxtest.Bounds) inboxtest.Inbox {
		w := newWitness(t, startRedis(t), "n").begin(t)
		return newTestInbox(t, w.Node, InboxOptions{MaxPerUser: b.MaxPerUser, MaxBytes: b.MaxBytes, MaxReceipts: b.MaxReceipts})
	})
}
