package store

import (
	"testing"

	"crier/io/hub/inboxtest"
)

func TestInboxAsEveryOther(t *testing.T) {
	inboxtest.Run(t, func(t *testing.T, b inboxtest.Bounds) inboxtest.Inbox {
		return inbox(t, open(t, Options{}), InboxOptions{MaxPerUser: b.MaxPerUser, MaxBytes: b.MaxBytes, MaxReceipts: b.MaxReceipts})
	})
}
