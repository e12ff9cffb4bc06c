package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"crier/api/client"
)

// pushCommand describes crier push.
func pushCommand() *cli.Command {
	return &cli.Command{
		Name: "push", Usage: "push messages through a server", HideHelpCommand: true, OnUsageError: portUsage, Action: push,
		UsageText: "crier push [options] TEXT\ncrier push [options] --data JSON\ncrier push [options] -      (a message for each line of standard input)",
		Description: "Flags stand before TEXT. The message reaches everybody whom --to, --room and --all name, each connection once. To\n" +
			"have matched nobody is no error: the answer says so, and the exit code is 0.\n\n" +
			"Examples:\n" +
			"  crier push --to 42 'Your order has shipped'\n" +
			"  crier push --to 42 --to 43 --event order.shipped --data '{\"order\":7}'\n" +
			"  crier push --to 42 --ttl 72h 'Your order has shipped'\n" +
			"  tail -f app.log | crier push --room ops -\n" +
			"  jq -c '.[]' orders.json | crier push --all --event order --data -\n" +
			"  CRIER_KEY=… crier push --url https://push.example.com --all 'Back in five minutes'\n\n" +
			"With -, lines go over one lasting connection, as fast as the server takes them; empty ones are skipped. Refused lines are\n" +
			"listed on standard error, the others go on, and the exit code is 1.",
		Flags: slices.Concat(audienceFlags(), []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "the event's argument as `JSON`, instead of TEXT; - takes each line of standard input as one"},
			&cli.StringFlag{Name: "id", Usage: "an `ID` that makes a repetition harmless for 5 minutes; then the call is repeated if it fails"},
			&cli.DurationFlag{Name: "ack", Usage: "wait so long for the clients to acknowledge it (`DURATION`, such as 2s)"},
			&cli.BoolFlag{Name: "dry-run", DisableDefaultText: true, Usage: "only count whom it would reach"},
		}, keepFlags(), portFlags()),
	}
}

// keepFlags say what is kept of a message.
func keepFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "ttl", Usage: "store the message so long for users until it has arrived (`DURATION`, such as 24h)"},
		&cli.BoolFlag{Name: "store", DisableDefaultText: true, Usage: "store it for as long as the server does without --ttl"},
		&cli.BoolFlag{Name: "receipt", DisableDefaultText: true, Usage: "keep a receipt of it, as --ttl, --store and --ack do: crier receipt -h"},
	}
}

// audienceFlags say whom a message is for, and its event.
func audienceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "to", Usage: "push to the user `UID`; may be repeated"},
		&cli.StringSliceFlag{Name: "room", Usage: "push to the members of `ROOM`; may be repeated"},
		&cli.BoolFlag{Name: "all", DisableDefaultText: true, Usage: "push to every connection"},
		&cli.StringFlag{Name: "event", Usage: "the `EVENT`'s name (default: new_msg)"},
	}
}

// audience reads them.
func audience(c *cli.Context) client.Audience {
	return client.Audience{Users: c.StringSlice("to"), Rooms: c.StringSlice("room"), All: c.Bool("all")}
}

// push pushes one message, or one for each line of standard input.
func push(c *cli.Context) error {
	p, lines, err := pushOf(c)
	if err != nil {
		return err
	}
	if lines != nil {
		return pushLines(c, p, lines)
	}
	waiting := newProgress(terminalOf(c.App.ErrWriter))
	if p.Ack > 0 {
		waiting.say(true, func(time.Duration) string { return fmt.Sprintf("waiting for acknowledgements, %s at most", p.Ack) })
	}
	r, err := call(c, p.Ack, func(ctx context.Context, port *client.Client) (client.Result, error) { return port.Push(ctx, p) })
	waiting.clear()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, r)
	}
	text, to := outcome(r, p.DryRun), terminalOf(c.App.Writer)
	if r.Matched.Connections == 0 && !r.Stored {
		text = to.paint(yellow, text)
	}
	_, err = fmt.Fprintln(to.out, text)
	return err
}

// pushOf reads the command line. If it asks for the lines of standard input, lines says what is the data of
// one.
func pushOf(c *cli.Context) (p client.Push, lines func(line []byte) (any, error), err error) {
	p = client.Push{
		ID: c.String("id"), Event: c.String("event"), TTL: c.Duration("ttl"), Ack: c.Duration("ack"), DryRun: c.Bool("dry-run"),
		To: audience(c), Receipt: c.Bool("receipt"),
	}
	if store := c.Bool("store"); store {
		p.Store = &store
	}
	text, data := c.Args().First(), c.String("data")
	switch {
	case c.NArg() > 1:
		err = usageError{"push takes one TEXT: quote one of several words, and put flags before it"}
	case len(p.To.Users)+len(p.To.Rooms) == 0 && !p.To.All:
		err = usageError{"push needs somebody to push to: --to UID, --room ROOM or --all"}
	case p.TTL < 0 || p.Ack < 0:
		err = usageError{"--ttl and --ack take a time that is not negative"}
	case c.NArg() == 1 && c.IsSet("data"):
		err = usageError{"push takes TEXT or --data, not both"}
	case (text == "-" || data == "-") && p.ID != "":
		err = usageError{"--id names one message, and not all lines"}
	case text == "-":
		lines = textData
	case data == "-":
		lines = jsonData
	case c.NArg() == 1:
		p.Data, err = textData([]byte(text))
	case c.IsSet("data"):
		p.Data, err = jsonData([]byte(data))
	case p.Event == "":
		err = usageError{"push needs a message: TEXT, --data JSON, - for lines of standard input, or an --event without any"}
	}
	return p, lines, err
}

// textData is a text as the data of a message.
func textData(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, usageError{"the text is not UTF-8"}
	}
	return string(text), nil
}

// jsonData is JSON as the data of a message.
func jsonData(text []byte) (any, error) {
	if !json.Valid(text) || !utf8.Valid(text) {
		return nil, usageError{`the data is not JSON: a text has quotes of its own there, '"like this"'`}
	}
	return json.RawMessage(text), nil
}

// outcome says what became of a push, for people.
func outcome(r client.Result, dryRun bool) string {
	text := "matched "
	if dryRun {
		text = "would match "
	}
	if r.Matched.Connections == 0 {
		text += "nobody"
	} else {
		text += count(r.Matched.Users, "user") + ", " + count(r.Matched.Connections, "connection")
	}
	var more []string
	if r.Acked != nil {
		more = append(more, fmt.Sprintf("%d of %d acknowledged", r.Acked.Connections, r.Matched.Connections))
	}
	if r.Stored {
		more = append(more, "stored")
	}
	if r.Duplicate {
		more = append(more, "pushed before, and not again")
	}
	if r.ID != "" {
		more = append(more, "id "+r.ID)
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, "; ") + ")"
	}
	return text
}

// count says how many of something there are.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
