package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"crier/app"
)

// tokenCommand describes crier token.
func tokenCommand() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "sign a token with which a client may log in", HideHelpCommand: true, Action: token,
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return flagMistake(c, err, map[string]string{"auth.jwt.secret": "--auth.jwt.secret_file, CRIER_AUTH_JWT_SECRET_FILE or CRIER_AUTH_JWT_SECRET"})
		},
		Description: "The token is signed with HS256 and auth.jwt.secret of the server's settings, of which this reads the same file and\n" +
			"environment, and has their issuer and (first) audience. It goes to standard output.\n\n" +
			"Examples:\n" +
			"  crier token --config /etc/crier.yaml --uid 42\n" +
			"  crier token --uid 42 --rooms news --rooms shop --expires 15m\n" +
			"  CRIER_TOKEN=$(crier token --uid 42) crier listen --uid 42",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "uid", Usage: "the user (`UID`); required"},
			&cli.StringSliceFlag{Name: "rooms", Usage: "a `ROOM` that the client may enter, with rooms.client_join token; may be repeated"},
			&cli.DurationFlag{Name: "expires", Usage: "how long the token is good (`DURATION`)", Value: time.Hour},
			jsonFlag(),
		}, tokenSettings()),
	}
}

// tokenSettings are the flags of the settings that a token depends on.
func tokenSettings() []cli.Flag {
	return slices.DeleteFunc(flags(), func(f cli.Flag) bool {
		name := f.Names()[0]
		return name != "config" && name != "auth.mode" && !strings.HasPrefix(name, "auth.jwt.")
	})
}

func token(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{"token takes no argument: the user goes into --uid"}
	}
	loaded, err := load(c)
	if err != nil {
		return err
	}
	if c.String("uid") == "" {
		return usageError{"token needs --uid UID"}
	}
	expires := c.Duration("expires")
	if expires < time.Second {
		return usageError{"--expires takes a second or more"}
	}
	end := time.Now().Add(expires)
	signed, err := app.Token(loaded.Config, c.String("uid"), c.StringSlice("rooms"), end)
	switch {
	case errors.Is(err, app.ErrNoSecret):
		return err
	case err != nil:
		return usageError{err.Error()}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string]any{"token": signed, "expires": end.UTC().Truncate(time.Second)})
	}
	_, err = fmt.Fprintln(c.App.Writer, signed)
	return err
}
