package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"crier/api/client"
)

// receiptCommand describes crier receipt.
func receiptCommand() *cli.Command {
	return &cli.Command{
		Name: "receipt", Usage: "tell what became of a message", ArgsUsage: "ID", HideHelpCommand: true,
		OnUsageError: portUsage, Action: showReceipt,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "users", DisableDefaultText: true, Usage: "list the users it was stored for, and what became of it for each"},
		}, portFlags()...),
		Description: "There is a receipt of what was pushed with --ttl, --store, --ack or --receipt, for a day.\n\n" +
			"Examples:\n  crier receipt order-7\n  crier receipt --users order-7\n  crier receipt --json order-7 | jq .waiting",
	}
}

func showReceipt(c *cli.Context) error {
	id, err := single(c, "ID")
	switch {
	case err != nil:
		return err
	case id == "":
		return usageError{"receipt needs the ID of a message, which crier push has printed"}
	case c.Bool("users"):
		return showAddressees(c, id)
	}
	r, err := call(c, 0, func(ctx context.Context, p *client.Client) (client.Receipt, error) { return p.Receipt(ctx, id) })
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, r)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\n", printable(r.ID))
	fmt.Fprintf(w, "pushed\t%s\n", r.Time.Format(time.RFC3339))
	fmt.Fprintf(w, "matched\t%s, %s\n", count(r.Matched.Users, "user"), count(r.Matched.Connections, "connection"))
	fmt.Fprintf(w, "delivered\t%s\n", count(r.Delivered, "connection"))
	if r.Acked != nil {
		fmt.Fprintf(w, "acknowledged\t%s, %s\n", count(r.Acked.Users, "user"), count(r.Acked.Connections, "connection"))
	}
	if r.Stored > 0 {
		fmt.Fprintf(w, "stored\t%s, until %s\n", count(r.Stored, "user"), r.Expires.Format(time.RFC3339))
		for _, of := range []struct {
			state string
			n     int
		}{{"waiting", r.Waiting}, {"confirmed", r.Confirmed}, {"expired", r.Expired}, {"evicted", r.Evicted}} {
			fmt.Fprintf(w, "  %s\t%d\n", of.state, of.n)
		}
	}
	return w.Flush()
}

func showAddressees(c *cli.Context, id string) error {
	return pages(c, fmt.Sprintf("%-9s  %s", "STATE", "UID"), func(ctx context.Context, p *client.Client, page client.Page) ([]entry, string, error) {
		list, err := p.Addressees(ctx, id, page)
		entries := make([]entry, len(list.Users))
		for i, u := range list.Users {
			entries[i] = entry{fmt.Sprintf("%-9s  %s", u.State, u.UID), u}
		}
		return entries, list.Next, err
	})
}
