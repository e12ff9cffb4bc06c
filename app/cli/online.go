package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"crier/api/client"
)

// pageSize is how many entries of a list are fetched at once.
const pageSize = 1000

// usersCommand describes crier users.
func usersCommand() *cli.Command {
	return &cli.Command{
		Name: "users", Usage: "list the users who are online, or show one", ArgsUsage: "[UID]", HideHelpCommand: true,
		OnUsageError: portUsage, Action: users, Flags: portFlags(),
		Description: "Without UID: everybody who is online, in no order, with the number of their connections. With UID: that user's\n" +
			"connections, and the rooms they are in; the exit code is 0 also for a user who is offline.\n\n" +
			"Examples:\n  crier users\n  crier users 42\n  crier users --json | jq -r .uid",
	}
}

// roomsCommand describes crier rooms.
func roomsCommand() *cli.Command {
	return &cli.Command{
		Name: "rooms", Usage: "list the rooms that somebody is in, or the members of one", ArgsUsage: "[ROOM]", HideHelpCommand: true,
		OnUsageError: portUsage, Action: rooms, Flags: portFlags(),
		Description: "Without ROOM: every room that has connections, in no order. With ROOM: its connections and their users; - is\n" +
			"a connection that is not logged in, or a member who is offline.\n\n" +
			"Examples:\n  crier rooms\n  crier rooms news\n  crier rooms --json news | jq -r .uid",
	}
}

// statsCommand describes crier stats.
func statsCommand() *cli.Command {
	return &cli.Command{
		Name: "stats", Usage: "print a server's figures", HideHelpCommand: true, OnUsageError: portUsage, Action: stats, Flags: portFlags(),
		Description: "Examples:\n  crier stats\n  crier stats --json | jq .users",
	}
}

// single returns the only argument of a command, "" if there is none.
func single(c *cli.Context, what string) (string, error) {
	if c.NArg() > 1 {
		return "", usageError{c.Command.Name + " takes one " + what + " at most, and flags before it"}
	}
	if c.NArg() == 1 && c.Args().First() == "" {
		return "", usageError{what + " is empty"}
	}
	return c.Args().First(), nil
}

func users(c *cli.Context) error {
	uid, err := single(c, "UID")
	switch {
	case err != nil:
		return err
	case uid != "":
		return showUser(c, uid)
	}
	return pages(c, "CONNECTIONS  UID", func(ctx context.Context, p *client.Client, page client.Page) ([]entry, string, error) {
		list, err := p.Users(ctx, page)
		entries := make([]entry, len(list.Users))
		for i, u := range list.Users {
			entries[i] = entry{fmt.Sprintf("%11d  %s", u.Connections, u.UID), u}
		}
		return entries, list.Next, err
	})
}

func rooms(c *cli.Context) error {
	name, err := single(c, "ROOM")
	switch {
	case err != nil:
		return err
	case name != "":
		return showRoom(c, name)
	}
	return pages(c, "CONNECTIONS  ROOM", func(ctx context.Context, p *client.Client, page client.Page) ([]entry, string, error) {
		list, err := p.Rooms(ctx, page)
		entries := make([]entry, len(list.Rooms))
		for i, r := range list.Rooms {
			entries[i] = entry{fmt.Sprintf("%11d  %s", r.Connections, r.Room), r}
		}
		return entries, list.Next, err
	})
}

func showRoom(c *cli.Context, name string) error {
	return pages(c, fmt.Sprintf("%-24s  %s", "CONNECTION", "UID"), func(ctx context.Context, p *client.Client, page client.Page) ([]entry, string, error) {
		room, err := p.Room(ctx, name, page)
		entries := make([]entry, len(room.Members))
		for i, m := range room.Members {
			entries[i] = entry{fmt.Sprintf("%-24s  %s", orDash(m.Connection), orDash(m.UID)), m}
		}
		return entries, room.Next, err
	})
}

// orDash shows that there is no name.
func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

// entry is one line of a list, for people and for programs.
type entry struct {
	text  string
	value any
}

// pages prints a list as it comes, page by page.
func pages(c *cli.Context, head string, fetch func(context.Context, *client.Client, client.Page) ([]entry, string, error)) error {
	type answer struct {
		entries []entry
		next    string
	}
	asJSON := c.Bool("json")
	for page := (client.Page{Limit: pageSize}); ; {
		got, err := call(c, 0, func(ctx context.Context, p *client.Client) (answer, error) {
			entries, next, err := fetch(ctx, p, page)
			return answer{entries, next}, err
		})
		if err != nil {
			return err
		}
		if page.Cursor == "" && !asJSON {
			if _, err := fmt.Fprintln(c.App.Writer, head); err != nil {
				return err
			}
		}
		for _, e := range got.entries {
			if asJSON {
				err = printJSON(c.App.Writer, e.value)
			} else {
				_, err = fmt.Fprintln(c.App.Writer, e.text)
			}
			if err != nil {
				return err
			}
		}
		if page.Cursor = got.next; page.Cursor == "" {
			return nil
		}
	}
}

// showUser prints one user.
func showUser(c *cli.Context, uid string) error {
	u, err := call(c, 0, func(ctx context.Context, p *client.Client) (client.User, error) { return p.User(ctx, uid) })
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, u)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	if u.Online {
		fmt.Fprintf(w, "%s is online with %s\n", u.UID, count(len(u.Connections), "connection"))
	} else {
		fmt.Fprintln(w, u.UID, "is offline")
	}
	if len(u.Rooms) > 0 {
		fmt.Fprintln(w, "member of", strings.Join(u.Rooms, ", "))
	}
	if u.Online {
		fmt.Fprintln(w, "CONNECTION\tROOMS")
	}
	for _, one := range u.Connections {
		fmt.Fprintf(w, "%s\t%s\n", one.ID, strings.Join(one.Rooms, ", "))
	}
	return w.Flush()
}

func stats(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{"stats takes no argument"}
	}
	s, err := call(c, 0, func(ctx context.Context, p *client.Client) (client.Stats, error) { return p.Stats(ctx) })
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, s)
	}
	return printStats(c.App.Writer, s)
}

// printStats prints a server's figures, a line each.
func printStats(out io.Writer, s client.Stats) error {
	type figure struct {
		name  string
		value any
		what  string
	}
	figures := []figure{
		{"users", s.Users, "online now"},
		{"connections", s.Connections, "logged in now"},
		{"sockets", s.Sockets, "connected now, logged in or not"},
		{"pushes", s.Pushes, "since the server started"},
		{"delivered", s.Delivered, "to connections, since the start"},
		{"slow", s.Slow, "dropped, since a connection's queue was full"},
		{"gone", s.Gone, "dropped, since a connection had ended"},
		{"failed", s.Failed, "dropped for another reason"},
	}
	if cb := s.Callbacks; cb != nil {
		figures = append(figures,
			figure{"callbacks", cb.Waiting, "not delivered yet"},
			figure{"dead", cb.Dead, "callbacks that were given up"})
	}
	if st := s.Store; st != nil {
		figures = append(figures,
			figure{"store", st.Bytes, "bytes of the file"},
			figure{"store failures", st.Failures, "transactions that failed, since the start"})
	}
	if in := s.Inbox; in != nil {
		figures = append(figures,
			figure{"stored", in.Messages, "messages that wait for users"},
			figure{"waiting", in.Waiting, "the same, for each of the users"})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%d\t%s\n", f.name, f.value, f.what)
	}
	if s.Store != nil && s.Store.Error != "" {
		fmt.Fprintln(w, "store error\t\t"+s.Store.Error)
	}
	return w.Flush()
}
