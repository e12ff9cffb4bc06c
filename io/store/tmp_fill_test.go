package store

import "testing"

func BenchmarkTmpFill(b *testing.B) { fillInbox(b, "/tmp/million/crier.db", 1_000_000) }
