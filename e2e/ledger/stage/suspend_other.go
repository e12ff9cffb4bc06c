//go:build !unix

package stage

import (
	"errors"
	"os"
)

// suspend has a process do nothing until resume.
func suspend(*os.Process) error {
	return errors.New("processes cannot be stopped and continued on this system: leave it out by -without stop")
}

func resume(*os.Process) error { return nil }
