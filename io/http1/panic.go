package http1

import (
	"net/http"
	"runtime"
)

// PanicStack returns the stack of a handler that has panicked with reason, for the log: as much of it as net/http logs. There is none
// of one that only has its connection ended, by [http.ErrAbortHandler].
func PanicStack(reason any) (stack []byte, logged bool) {
	if reason == any(http.ErrAbortHandler) {
		return nil, false
	}
	stack = make([]byte, 64<<10)
	return stack[:runtime.Stack(stack, false)], true
}
