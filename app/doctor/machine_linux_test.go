package doctor

import "testing"

func TestMachine(t *testing.T) {
	only(t, []Finding{openFiles(1024), openFiles(1 << 20), backlog(128), backlog(4096)},
		Finding{Warning, "open files", "1024 at most, one for each connection: raise it"}, Finding{Fine, "open files", "1048576"},
		Finding{Warning, "somaxconn", "128 connections at most"}, Finding{Fine, "somaxconn", "4096"})
	if all := limits(); len(all) != 2 {
		t.Errorf("this machine: %+v", all)
	}
	for _, test := range []struct {
		kind int64
		free uint64
		want Finding
	}{
		{0, 10 << 30, Finding{Fine, "store.path", "10240 MiB free in /data"}},
		{0, 900 << 20, Finding{Warning, "store.path", "900 MiB free in /data: make room"}},
		{tmpfs, 50 << 20, Finding{Wrong, "store.path", "50 MiB free in /data: make room"}},
		{tmpfs, 10 << 30, Finding{Warning, "store.path", "/data is in memory"}},
		{nfs, 10 << 30, Finding{Warning, "store.path", "/data is on another machine"}},
	} {
		only(t, []Finding{*judgeRoom("/data", test.kind, test.free)}, test.want)
	}
}
