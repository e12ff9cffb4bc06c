package configs

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		text string
		want int64 // -1: an error
	}{
		{"0", 0},
		{"1", 1},
		{"1000000", 1000000},
		{"007", 7},
		{"1B", 1},
		{"64KB", 64000},
		{"64kb", 64000},
		{"2MB", 2000000},
		{"1GB", 1000000000},
		{"64KiB", 65536},
		{"1MiB", 1 << 20},
		{"1mib", 1 << 20},
		{"3 GiB", 3 << 30},
		{"9223372036854775807", math.MaxInt64},
		{"8589934591GiB", 8589934591 << 30},
		{"", -1},
		{"MiB", -1},
		{"-1", -1},
		{"+1", -1},
		{"1.5MiB", -1},
		{"1e6", -1},
		{"1_000", -1},
		{"0x10", -1},
		{"1K", -1},
		{"1M", -1},
		{"1TB", -1},
		{"1MiB ", -1},
		{" 1", -1},
		{"1  KB", -1},
		{"1KBs", -1},
		{"１", -1},
		{"9223372036854775808", -1},
		{"8589934592GiB", -1},
		{"9223372036854776KB", -1},
	}
	for _, test := range tests {
		got, err := parseSize(test.text)
		if err != nil {
			got = -1
		}
		if got != test.want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", test.text, got, err, test.want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0s", time.Millisecond: "1ms", 25 * time.Second: "25s", 90 * time.Second: "1m30s", time.Minute: "1m",
		20 * time.Minute: "20m", 72 * time.Hour: "72h", 61 * time.Minute: "1h1m", time.Hour + time.Second: "1h0m1s",
	}
	for d, want := range tests {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

// FuzzSize: what parses is not negative, and is the same after formatting and parsing.
func FuzzSize(f *testing.F) {
	for _, seed := range []string{"0", "1000000", "64KB", "1MiB", "3 GiB", "9223372036854775807", "-1", "1.5MB", "KB", "99999999999GB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseSize(text)
		if err != nil {
			return
		}
		if n < 0 || text == "" || text[0] < '0' || text[0] > '9' {
			t.Fatalf("parseSize(%q) = %d", text, n)
		}
		if plain, err := strconv.ParseInt(text, 10, 64); err == nil && plain != n {
			t.Fatalf("parseSize(%q) = %d", text, n)
		}
		if again, err := parseSize(formatSize(n)); err != nil || again != n {
			t.Fatalf("%q → %d → %q → %d, %v", text, n, formatSize(n), again, err)
		}
	})
}

// FuzzDuration: what a setting takes is within its bounds, and is the same after items and set.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"25s", "1m30s", "0", "-1s", "72h", "1h0m1s", "1.5h", "9999999h", "1", "1ms1us", "µs"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again time.Duration
		field := durationValue{&d, time.Microsecond, day}
		if faults := field.set([]string{text}); faults != nil {
			if d != 0 || faults[0].item != text {
				t.Fatalf("set(%q) stored %s, %v", text, d, faults)
			}
			return
		}
		if d < time.Microsecond || d > day {
			t.Fatalf("set(%q) stored %s", text, d)
		}
		faults := durationValue{&again, time.Microsecond, day}.set(field.items())
		if faults != nil || again != d {
			t.Fatalf("%q → %s → %q → %s, %v", text, d, field.items(), again, faults)
		}
	})
}
