package doctor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// What a machine should allow at least.
const (
	enoughFiles   = 65536
	enoughBacklog = 4096
)

// limits tells how many connections there can be, and how many can arrive at once.
func limits() []Finding {
	var all []Finding
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		all = append(all, Finding{Warning, "open files", "the limit cannot be read: " + err.Error()})
	} else {
		all = append(all, openFiles(files.Max)) // Go programs take what they may
	}
	const path = "/proc/sys/net/core/somaxconn"
	text, err := os.ReadFile(path)
	n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		return append(all, Finding{Warning, "somaxconn", path + " cannot be read"})
	}
	return append(all, backlog(n))
}

func openFiles(most uint64) Finding {
	text := fmt.Sprintf("%d at most, one for each connection", most)
	if most < enoughFiles {
		return Finding{Warning, "open files", text + ": raise it, by LimitNOFILE=1048576 in the systemd unit or ulimit -Hn"}
	}
	return Finding{Fine, "open files", text}
}

func backlog(n int) Finding {
	text := fmt.Sprintf("%d connections at most wait to be accepted", n)
	if n < enoughBacklog {
		return Finding{Warning, "somaxconn", text + ": when everybody comes back after a restart more are turned away; sysctl -w net.core.somaxconn=65535, and in /etc/sysctl.d"}
	}
	return Finding{Fine, "somaxconn", text}
}

const (
	// Free bytes beside the store.
	spaceNoted = 1 << 30
	spaceWrong = 64 << 20

	// File systems that a store does not belong on (statfs(2)).
	tmpfs = 0x01021994
	nfs   = 0x6969
)

// room tells what is wrong with where the store is to be; nil: nothing.
func room(folder string) *Finding {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return &Finding{Warning, "store.path", "the room in " + folder + " cannot be told: " + err.Error()}
	}
	return judgeRoom(folder, int64(s.Type), s.Bavail*uint64(s.Bsize))
}

func judgeRoom(folder string, kind int64, free uint64) *Finding {
	text := fmt.Sprintf("%d MiB free in %s", free>>20, folder)
	switch {
	case free < spaceWrong:
		return &Finding{Wrong, "store.path", text + ": make room, or name another disk"}
	case free < spaceNoted:
		return &Finding{Warning, "store.path", text + ": make room, or name another disk"}
	case kind == tmpfs:
		return &Finding{Warning, "store.path", folder + " is in memory, and gone after a restart of the machine: name a disk"}
	case kind == nfs:
		return &Finding{Warning, "store.path", folder + " is on another machine (NFS), where a store can be damaged: name a disk of this one"}
	}
	return &Finding{Fine, "store.path", text}
}
