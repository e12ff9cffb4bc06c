package app

import "runtime/debug"

const (
	// queueShare is the part of the memory that may wait for clients: 1/queueShare.
	queueShare = 4
	// unknownMemory is that of a machine that does not say how much it has.
	unknownMemory = 4 << 30
)

// queueTotal is limits.queue_total, in bytes; 0: there is no limit.
func (a *App) queueTotal() int64 {
	if n := a.cfg.Limits.QueueTotal; n >= 0 {
		return n
	}
	return available() / queueShare
}

// available is how many bytes of memory the process may take: what the machine has, the control group allows and GOMEMLIMIT
// says, whichever is least.
func available() int64 {
	n := lesser(installed(), granted())
	if n == 0 {
		n = unknownMemory
	}
	return min(n, debug.SetMemoryLimit(-1))
}

// lesser is the lesser of two numbers of which 0 means none.
func lesser(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
