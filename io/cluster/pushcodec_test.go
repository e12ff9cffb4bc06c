package cluster

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"crier/io/hub"
)

func TestPushForm(t *testing.T) {
	for _, p := range []*pushed{
		{Push: hub.Push{To: hub.Audience{All: true}, Message: message("e")}},
		{
			Push: hub.Push{
				To: hub.Audience{
					Users: []string{"u", "中"}, Rooms: []string{"r"}, Connections: []string{"c"},
					Except: &hub.Audience{Rooms: []string{"x"}, Except: &hub.Audience{All: true}},
				},
				Message: &hub.Message{ID: "i", Event: "e", Attachments: [][]byte{{0, 1}, nil}, Volatile: true, Transient: true, ShowID: true},
			},
			Count: true, Ask: time.Second, Keep: 7,
		},
	} {
		form := appendPush(nil, p)
		got, err := parsePush(form)
		if err != nil {
			t.Fatal(err)
		}
		if again := appendPush(nil, got); !slices.Equal(again, form) {
			t.Errorf("%x is read as %x", form, again)
		}
		for i := range form {
			if _, err := parsePush(form[:i]); err == nil {
				t.Errorf("%d of %d bytes were taken", i, len(form))
			}
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add(appendPush(nil, &pushed{Push: hub.Push{To: hub.Audience{Users: []string{"u"}, Except: &hub.Audience{All: true}}, Message: message("e")}, Ask: time.Second}))
	f.Add(append(binary.AppendUvarint([]byte{pushFormat, flagAsk}, overflowing), 1, 0, 0, 0, 0, 0, 0, 0, 0)) // no argument, and an audience of nobody
	f.Fuzz(func(t *testing.T, form []byte) {
		p, err := parsePush(form)
		if err != nil {
			return
		}
		again, err := parsePush(appendPush(nil, p))
		if err != nil || !slices.Equal(appendPush(nil, again), appendPush(nil, p)) {
			t.Errorf("%x is read as %+v, and that as %+v, %v", form, p, again, err)
		}
	})
}
