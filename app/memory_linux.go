package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// installed is how many bytes of memory the machine has; 0: unknown.
func installed() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return 0
	}
	return int64(s.Totalram) * int64(s.Unit)
}

// granted is how much memory the process's control group may take, and those that it is in (cgroups(7)); 0: there is no bound.
func granted() int64 {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	return grantedBy("/sys/fs/cgroup", string(groups))
}

// grantedBy takes the folder that the groups are in and the text of /proc/self/cgroup: a line for each hierarchy,
// number:controllers:path, of which version 2 has one, without controllers.
func grantedBy(root, groups string) int64 {
	least := int64(0)
	for line := range strings.Lines(groups) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		folder, name := root, "memory.max"
		switch {
		case part[1] == "memory":
			folder, name = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		case part[1] != "":
			continue
		}
		// In a container the path can be that outside of it: what is not there is passed over.
		for path := filepath.Join("/", part[2]); ; path = filepath.Dir(path) {
			least = lesser(least, numberIn(filepath.Join(folder, path, name)))
			if path == "/" {
				break
			}
		}
	}
	return least
}

// numberIn reads a file with one number; 0: there is none, such as the word max.
func numberIn(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
