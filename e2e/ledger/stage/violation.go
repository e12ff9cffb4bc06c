package stage

import (
	"fmt"
	"io"
)

// shown is how many violations are printed.
const shown = 20

// A Violation is something that the server must not do.
type Violation struct {
	Kind string
	UID  string
	ID   string // of what it is about, if it has one
	At   Stamp
	Text string
}

func (v Violation) String() string {
	return fmt.Sprintf("%d %s %s %s: %s", v.At, v.UID, v.Kind, v.ID, v.Text)
}

// Print writes the end of a summary: the first violations, and where the books are.
func Print(w io.Writer, all []Violation, dir string) error {
	_, err := fmt.Fprintf(w, "violations  %d\n", len(all))
	for _, one := range all[:min(shown, len(all))] {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %v\n", one)
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "books       %s\n", dir)
	}
	if err != nil {
		return fmt.Errorf("printing the summary: %w", err)
	}
	return nil
}
