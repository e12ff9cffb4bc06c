package stage

import (
	"fmt"
	"io"
	"maps"
	"slices"
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

// kinds says how many violations of each kind there are.
func kinds(all []Violation) string {
	count := map[string]int{}
	for _, one := range all {
		count[one.Kind]++
	}
	text, between := "", ": "
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		text += fmt.Sprintf("%s%d %s", between, count[kind], kind)
		between = ", "
	}
	return text
}

// Print writes the end of a summary: the first violations, and where the books are.
func Print(w io.Writer, all []Violation, dir string) error {
	_, err := fmt.Fprintf(w, "violations  %d%s\n", len(all), kinds(all))
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
