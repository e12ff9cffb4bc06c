package app

import (
	"os"
	"path/filepath"
	"testing"
)

// The least of what the groups allow counts, in both versions; what is not there, or max, is no bound.
func TestGranted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		files  map[string]string
		groups string
		want   int64
	}{
		{"none", nil, "0::/\n", 0},
		{"no groups", nil, "", 0},
		{"odd lines", nil, "0\n:\nx:y\n", 0},
		{"version 2", map[string]string{"memory.max": "max\n", "a/memory.max": "300\n", "a/b/memory.max": "400\n"}, "0::/a/b\n", 300},
		{"version 2 without bound", map[string]string{"a/memory.max": "max\n"}, "0::/a\n", 0},
		{"version 2 in a container", map[string]string{"memory.max": "500\n"}, "0::/docker/1234\n", 500},
		{
			"version 1",
			map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/a/memory.limit_in_bytes": "200\n"},
			"3:cpu,cpuacct:/a\n2:memory:/a\n1:name=systemd:/a\n0::/\n", 200,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range tt.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := grantedBy(root, tt.groups); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
	if n := available(); n < 1<<20 {
		t.Errorf("%d bytes are said to be available", n)
	}
}
