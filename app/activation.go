package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// inherited are listening sockets that this program was started with, by the
// name of their port. systemd opens them before it starts the service and keeps
// them while it restarts, so that no client is refused (sd_listen_fds(3)).
type inherited map[string]net.Listener

// inherit takes over the sockets that were left to this process, if any, once:
// nothing this process starts finds them again. Their names, which are
// FileDescriptorName= in the socket units, must be among ports.
func inherit(ports ...string) (inherited, error) {
	left := inherited{}
	var errs []error
	for _, f := range activation.Files(true) {
		errs = append(errs, left.add(f, ports))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, left.close())
	}
	return left, nil
}

// add takes over one socket, or says what is wrong with its unit; f is closed.
func (in inherited) add(f *os.File, ports []string) error {
	name := f.Name()
	l, err := net.FileListener(f)
	err = errors.Join(err, f.Close())
	_, tcp := l.(*net.TCPListener)
	switch _, twice := in[name]; {
	case err != nil:
		return fmt.Errorf("cannot use the socket %q that systemd opened: %w", name, err)
	case !tcp:
		err = fmt.Errorf("the socket %q that systemd opened is at %s: its ListenStream= must be a TCP port", name, l.Addr())
	case !slices.Contains(ports, name):
		err = fmt.Errorf("systemd opened a socket named %q, and there is no such port: FileDescriptorName= must be %s", name, strings.Join(ports, " or "))
	case twice:
		err = fmt.Errorf("systemd opened two sockets named %q: a port takes one, whose ListenStream= can be all addresses", name)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	in[name] = l
	return nil
}

// take returns the socket of a port, which is the caller's from then on, or nil.
func (in inherited) take(port string) net.Listener {
	l, found := in[port]
	if !found {
		return nil
	}
	delete(in, port)
	return l
}

// close closes the sockets that nobody took.
func (in inherited) close() error {
	var errs []error
	for _, l := range in {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
