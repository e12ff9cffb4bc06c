package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// A Record is what the driver's book says of a run that was brought to an end.
type Record struct {
	Timeline *Timeline
	End      Stamp            // nothing that came later counts
	Count    map[string]int   // of the lines, by On
	Tabs     map[string]Line  // how each tab was ordered
	Gone     map[string]Stamp // when browsers had been killed
}

// ReadRecord reads the driver's book in a folder.
func ReadRecord(dir string) (*Record, error) {
	r := &Record{Timeline: NewTimeline(), Count: map[string]int{}, Tabs: map[string]Line{}, Gone: map[string]Stamp{}}
	err := ReadBook(driverFile(dir), func(line Line) {
		r.Timeline.Add(line)
		r.Count[line.On]++
		switch line.On {
		case TabOrdered:
			r.Tabs[line.Tab] = line
		case BrowserGone:
			r.Gone[line.Browser] = line.At
		case RunEnd:
			r.End = line.At
		}
	})
	if err != nil {
		return nil, err
	}
	if r.End == 0 {
		return nil, errors.New("the run was not brought to an end, so there is nothing to check")
	}
	return r, nil
}

func driverFile(dir string) string { return filepath.Join(dir, "driver.jsonl") }

// ReadTabs calls each for every line of the browsers' books in a folder, one book after the other.
func (r *Record) ReadTabs(dir string, each func(TabLine)) error {
	paths, err := filepath.Glob(filepath.Join(dir, "browser-*.jsonl"))
	if err != nil {
		return fmt.Errorf("looking for the browsers' books: %w", err)
	}
	for _, path := range paths {
		opened, lost := map[string]bool{}, ""
		err := ReadBook(path, func(line TabLine) {
			if line.At > r.End {
				return
			}
			if line.On == TabOpen {
				opened[line.Tab] = true
			}
			if !opened[line.Tab] {
				lost = line.Tab
				return
			}
			each(line)
		})
		if err == nil && lost != "" {
			err = fmt.Errorf("%s tells of %s, which was not opened", path, lost)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Troubles says how often the server was ended and stopped.
func (r *Record) Troubles() string {
	text := fmt.Sprintf("%d kills, %d stops (SIGSTOP), %d restarts (SIGTERM)", r.Count[ServerKill], r.Count[ServerStop], r.Count[ServerTerm])
	if n := r.Count[ServerLate]; n > 0 {
		text += fmt.Sprintf(", of which %d cut off requests that took too long", n)
	}
	return text
}

// Lasted returns the time from the first start to the end.
func (r *Record) Lasted() time.Duration {
	return time.Duration(r.End-r.Timeline.All()[0].Start) * time.Millisecond
}
