//go:build !linux

package bench

import (
	"context"
	"errors"
)

// Run would measure on Linux.
func Run(context.Context, Options, func(string)) (*Result, error) {
	return nil, errors.New("crier bench needs Linux: its clients wait with epoll")
}
