package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"crier/io/socketio"
	socket "crier/io/socketio/client"
)

// countEvent is what the server tells everybody all the time: printed only if it is asked for.
const countEvent = "update_online_count"

// listenCommand describes crier listen.
func listenCommand() *cli.Command {
	return &cli.Command{
		Name: "listen", Usage: "log in as a user and print what arrives", HideHelpCommand: true, Action: listen,
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return flagMistake(c, err, map[string]string{"token": "--token-file, $" + envTokenFile + " or $" + envToken})
		},
		Description: "Connects to the public port as a page does, and prints a line for each event: the time, its name and its arguments; with\n" +
			"--json {\"event\",\"args\"}, in which {\"$binary\":\"<base64>\"} stands for bytes. " + countEvent + " is left out unless --event names it.\n" +
			"Events that ask for it are acknowledged. A lost connection is made again, as pages do; Ctrl-C ends it, with exit code 0.\n\n" +
			"Examples:\n" +
			"  crier listen --uid 42\n" +
			"  crier listen --uid 42 --room news --event order --json | jq .args\n" +
			"  crier listen --url https://push.example.com --token-file token.txt",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "uid", Usage: "the user to log in as (`UID`); may be left out with a token"},
			&cli.StringSliceFlag{Name: "room", Usage: "subscribe to `ROOM`, where rooms.client_join lets clients; may be repeated"},
			&cli.StringFlag{Name: "url", Usage: "the public port's `URL`, with socketio.path if that is not " + socket.DefaultPath, Value: "http://127.0.0.1:2120"},
			&cli.StringFlag{Name: "token-file", Usage: "`FILE` with a token, read again for every connection; or the token itself in $" + envToken, EnvVars: []string{envTokenFile}, TakesFile: true},
			&cli.StringSliceFlag{Name: "event", Usage: "print only the `EVENT`; may be repeated"},
			jsonFlag(),
		},
	}
}

func listen(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{"listen takes no argument: the user goes into --uid"}
	}
	who := credentials{uid: c.String("uid"), file: c.String("token-file")}
	token, err := who.token()
	if err != nil {
		return err
	}
	if who.uid == "" && token == "" {
		return usageError{"listen needs --uid UID, or a token in --token-file or $" + envToken}
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	l := &listener{
		out: terminalOf(c.App.Writer), notes: c.App.ErrWriter, url: c.String("url"), uid: who.uid, rooms: c.StringSlice("room"),
		events: c.StringSlice("event"), json: c.Bool("json"),
	}
	if err := socket.Run(ctx, socket.Options{URL: l.url, Auth: who}, l); err != nil || !terminalOf(l.notes).live {
		return err
	}
	return l.note(count(l.printed, "event"))
}

// credentials are what a connection says about itself.
type credentials struct{ uid, file string }

func (w credentials) token() (string, error) { return secret(w.file, envToken) }

// MarshalJSON writes the auth object. The token is read each time, since it may have been replaced by a newer one.
func (w credentials) MarshalJSON() ([]byte, error) {
	token, err := w.token()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		UID   string `json:"uid,omitempty"`
		Token string `json:"token,omitempty"`
	}{w.uid, token})
}

// listener prints what arrives. It implements [socket.Handler].
type listener struct {
	out      terminal
	notes    io.Writer
	url, uid string
	rooms    []string
	events   []string // to print; empty: all but countEvent
	json     bool

	connected bool // there has been a connection
	joined    int  // rooms of the present one
	printed   int  // events
}

// Connected implements [socket.Handler].
func (l *listener) Connected(c *socket.Conn) error {
	l.connected, l.joined = true, 0
	if len(l.rooms) == 0 {
		return l.ready()
	}
	for _, room := range l.rooms {
		err := c.Emit("subscribe", func(args socketio.Args) error { return l.subscribed(room, args) }, socketio.JSON(room))
		if err != nil {
			return err
		}
	}
	return nil
}

// subscribed takes the answer to a subscription.
func (l *listener) subscribed(room string, args socketio.Args) error {
	var answer struct {
		OK          bool
		Error, Code string
	}
	if err := args.Decode(0, &answer); err != nil {
		return fmt.Errorf("subscribing to the room %q: %w", room, err)
	}
	if !answer.OK {
		return fmt.Errorf("the room %q was refused: %s (%s)", room, answer.Error, answer.Code)
	}
	if l.joined++; l.joined < len(l.rooms) {
		return nil
	}
	return l.ready()
}

// ready tells the user that from now on everything is printed.
func (l *listener) ready() error {
	text := "listening"
	if l.uid != "" {
		text += " as " + printable(l.uid)
	}
	if len(l.rooms) > 0 {
		text += " in " + printable(strings.Join(l.rooms, ", "))
	}
	return l.note(text)
}

// note tells the user something besides what arrives.
func (l *listener) note(text string) error {
	_, err := fmt.Fprintln(l.notes, "crier:", text)
	return err
}

// Event implements [socket.Handler].
func (l *listener) Event(e *socket.Event) error {
	if e.WantsAck() {
		if err := e.Ack(); err != nil {
			return err
		}
	}
	if wanted := slices.Contains(l.events, e.Name); !wanted && (len(l.events) > 0 || e.Name == countEvent) {
		return nil
	}
	args := make([]json.RawMessage, e.Len())
	for i := range args {
		text, err := e.Plain(i)
		if err != nil {
			return l.note(fmt.Sprintf("an event %s cannot be shown: %v", printable(e.Name), err))
		}
		args[i] = text
	}
	l.printed++
	if l.json {
		return l.printJSON(e.Name, args)
	}
	_, err := fmt.Fprintf(l.out.out, "%s  %s  %s\n", l.out.paint(faint, time.Now().Format(time.TimeOnly)), l.out.paint(bold, printable(e.Name)), readable(args))
	return err
}

// printJSON prints an event for programs. Control characters, which JSON allows from U+0080 on, would do something to a
// terminal: they are escaped.
func (l *listener) printJSON(name string, args []json.RawMessage) error {
	var b strings.Builder
	if err := printJSON(&b, struct {
		Event string            `json:"event"`
		Args  []json.RawMessage `json:"args"`
	}{name, args}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(l.out.out, escapeControls(strings.TrimSuffix(b.String(), "\n")))
	return err
}

// Lost implements [socket.Handler]. A first attempt that fails is the end, since then something has been mistyped or does
// not run; but who cannot be checked at the moment may be let in later.
func (l *listener) Lost(err error, wait time.Duration) error {
	var refused *socketio.ConnectError
	var data struct{ Code string }
	if errors.As(err, &refused) && json.Unmarshal(refused.Data, &data) == nil && data.Code != "" {
		err = fmt.Errorf("%w (%s)", err, printable(data.Code))
	}
	switch {
	case data.Code == "unavailable":
	case !l.connected && refused == nil:
		return fmt.Errorf("%w: is the server running, and its public port at %s? (--url)", err, l.url)
	case socket.Final(err):
		return err
	}
	return l.note(fmt.Sprintf("%v; trying again in %s", err, wait.Round(100*time.Millisecond)))
}
