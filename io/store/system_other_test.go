//go:build !unix

package store

import (
	"errors"
	"time"
)

func limitFiles(int) (lift func() error, err error) { return nil, errors.ErrUnsupported }

func makePipe(string) error { return errors.ErrUnsupported }

func processorTime() (time.Duration, error) { return 0, errors.ErrUnsupported }
