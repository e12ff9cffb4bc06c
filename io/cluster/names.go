package cluster

import (
	"encoding/json"
	"errors"
	"slices"

	"crier/io/hub"
)

// mostNames is how many rooms a message, or a request, may name, as in the push API.
const mostNames = 10000

var errManyNames = errors.New("names more than 10,000 rooms")

// names are what an emitter calls rooms. Each matches a room, a user or a connection id.
type names []string

func (n *names) add(name string) error {
	if len(*n) == mostNames {
		return errManyNames
	}
	*n = append(*n, name)
	return nil
}

// UnmarshalJSON takes an array of strings and numbers, an object (as PHP writes an array with gaps), one string, or null
// and "", which are no names.
func (n *names) UnmarshalJSON(data []byte) error {
	var several []json.RawMessage
	switch data[0] {
	case '[':
		if err := json.Unmarshal(data, &several); err != nil {
			return err
		}
	case '{':
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil {
			return err
		}
		for _, value := range object {
			several = append(several, value)
		}
	default:
		if string(data) != `null` && string(data) != `""` {
			several = []json.RawMessage{data}
		}
	}
	for _, one := range several {
		name := string(one) // of a number
		if one[0] == '"' {
			if err := json.Unmarshal(one, &name); err != nil {
				return err
			}
		} else if one[0] != '-' && (one[0] < '0' || one[0] > '9') {
			return errNotName
		}
		if err := n.add(name); err != nil {
			return err
		}
	}
	return nil
}

var errNotName = errors.New("a room is neither a string nor a number")

// audience is whom an emitter means: without rooms everybody, else who is in one of them, and nobody who is in one that is
// excepted. Names that cannot be any match nobody.
func audience(rooms, except names) hub.Audience {
	a := union(rooms)
	a.All = len(rooms) == 0
	if out := union(except); len(out.Rooms) > 0 {
		a.Except = &out
	}
	return a
}

func union(n names) hub.Audience {
	possible := slices.DeleteFunc(slices.Clone(n), func(name string) bool { return hub.CheckUID(name) != nil }) // rooms and ids have the same rule
	return hub.Audience{Users: possible, Rooms: possible, Connections: possible}
}
