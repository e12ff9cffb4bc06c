package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"crier/api/client"
)

// scheduleCommand describes crier schedule.
func scheduleCommand() *cli.Command {
	return &cli.Command{
		Name: "schedule", Usage: "push later, or again and again", OnUsageError: portUsage,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return usageError{"schedule needs a command: add, list, show, pause, resume or remove"}
		},
		Subcommands: []*cli.Command{
			scheduleAddCommand(),
			{
				Name: "list", Usage: "list the schedules, by id", HideHelpCommand: true, OnUsageError: portUsage, Action: listSchedules, Flags: portFlags(),
				Description: "Examples:\n  crier schedule list\n  crier schedule list --json | jq -r .id",
			},
			onSchedule("show", "show a schedule", (*client.Client).Schedule),
			onSchedule("pause", "keep a schedule from pushing", (*client.Client).PauseSchedule),
			onSchedule("resume", "let a schedule that was paused go on", (*client.Client).ResumeSchedule),
			onSchedule("remove", "end a schedule", (*client.Client).RemoveSchedule),
		},
	}
}

func scheduleAddCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "make a schedule", HideHelpCommand: true, OnUsageError: portUsage, Action: addSchedule,
		UsageText: "crier schedule add [options] TEXT\ncrier schedule add [options] --data JSON",
		Description: "Flags stand before TEXT. One of --at, --delay, --every and --cron says when. With --id the schedule takes the place of\n" +
			"the one that has it.\n\n" +
			"Examples:\n" +
			"  crier schedule add --delay 10m --to 42 'Your table is ready'\n" +
			"  crier schedule add --at 2030-12-24T18:00:00+01:00 --all 'Merry Christmas'\n" +
			"  crier schedule add --id digest --cron '0 8 * * MON-FRI' --timezone Europe/Berlin --room news 'Good morning'",
		Flags: slices.Concat(audienceFlags(), []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "the event's argument as `JSON`, instead of TEXT"},
			&cli.StringFlag{Name: "id", Usage: "the schedule's `ID` (default: a new one)"},
			&cli.TimestampFlag{Name: "at", Layout: time.RFC3339, Usage: "push at this `TIME`, such as 2030-12-24T18:00:00Z"},
			&cli.DurationFlag{Name: "delay", Usage: "push so long from now (`DURATION`, such as 10m)"},
			&cli.DurationFlag{Name: "every", Usage: "push again and again, so far apart (`DURATION`, 1s or more)"},
			&cli.StringFlag{Name: "cron", Usage: "push when the `EXPRESSION` of five fields, or six with seconds first, says so"},
			&cli.StringFlag{Name: "timezone", Usage: "the `ZONE` of --cron, such as Europe/Berlin (default: UTC)"},
			&cli.TimestampFlag{Name: "until", Layout: time.RFC3339, Usage: "end --every and --cron at this `TIME`"},
			&cli.IntFlag{Name: "max-runs", Usage: "end --every and --cron after `N` pushes"},
			&cli.BoolFlag{Name: "skip-late", DisableDefaultText: true, Usage: "drop a push of --at or --delay that the server was not there to make"},
		}, keepFlags(), portFlags()),
	}
}

// onSchedule describes a command that does something with one schedule, and prints what it is then.
func onSchedule(name, what string, do func(*client.Client, context.Context, string) (client.ScheduleState, error)) *cli.Command {
	return &cli.Command{
		Name: name, Usage: what, ArgsUsage: "ID", HideHelpCommand: true, OnUsageError: portUsage, Flags: portFlags(),
		Action: func(c *cli.Context) error {
			id, err := single(c, "ID")
			switch {
			case err != nil:
				return err
			case id == "":
				return usageError{"schedule " + name + " needs the ID of a schedule: crier schedule list"}
			}
			s, err := call(c, 0, func(ctx context.Context, p *client.Client) (client.ScheduleState, error) { return do(p, ctx, id) })
			if err != nil {
				return err
			}
			return printSchedule(c, s)
		},
	}
}

func addSchedule(c *cli.Context) error {
	s, err := scheduleOf(c)
	if err != nil {
		return err
	}
	state, err := call(c, 0, func(ctx context.Context, p *client.Client) (client.ScheduleState, error) {
		if id := c.String("id"); id != "" {
			return p.PutSchedule(ctx, id, s)
		}
		return p.AddSchedule(ctx, s)
	})
	if err != nil {
		return err
	}
	return printSchedule(c, state)
}

// scheduleOf reads the command line.
func scheduleOf(c *cli.Context) (s client.Schedule, err error) {
	p, lines, err := pushOf(c)
	if err != nil {
		return s, err
	}
	if lines != nil {
		return s, usageError{"schedule add takes TEXT or --data JSON, not standard input"}
	}
	p.ID = "" // the schedule's
	n := 0
	for _, flag := range []string{"at", "delay", "every", "cron"} {
		if c.IsSet(flag) {
			n++
		}
	}
	if n != 1 {
		return s, usageError{"schedule add needs to know when: one of --at, --delay, --every and --cron"}
	}
	if c.IsSet("delay") && c.Duration("delay") <= 0 {
		return s, usageError{"--delay takes a time above 0: for now there is crier push"}
	}
	s = client.Schedule{
		Push: p, Delay: c.Duration("delay"), Every: c.Duration("every"), Cron: c.String("cron"), Timezone: c.String("timezone"),
		MaxRuns: c.Int("max-runs"), SkipLate: c.Bool("skip-late"),
	}
	if at := c.Timestamp("at"); at != nil {
		s.At = *at
	}
	if until := c.Timestamp("until"); until != nil {
		s.Until = *until
	}
	return s, nil
}

func listSchedules(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{"schedule list takes no argument"}
	}
	return pages(c, fmt.Sprintf("%-26s  %-25s  %s", "ID", "NEXT", "WHEN"), func(ctx context.Context, p *client.Client, page client.Page) ([]entry, string, error) {
		list, err := p.Schedules(ctx, page)
		entries := make([]entry, len(list.Schedules))
		for i, s := range list.Schedules {
			entries[i] = entry{fmt.Sprintf("%-26s  %-25s  %s", s.ID, nextRun(s), printable(when(s))), s}
		}
		return entries, list.Next, err
	})
}

// nextRun says when a schedule pushes next.
func nextRun(s client.ScheduleState) string {
	switch {
	case s.Paused:
		return "paused"
	case len(s.NextRuns) == 0:
		return "-"
	}
	return s.NextRuns[0].Format(time.RFC3339)
}

// when says when a schedule pushes, as its maker said it.
func when(s client.ScheduleState) string {
	var words []string
	for _, part := range []struct{ name, value string }{
		{"at", s.At}, {"delay", s.Delay}, {"every", s.Every}, {"cron", s.Cron}, {"in", s.Timezone}, {"until", s.Until},
	} {
		if part.value != "" {
			words = append(words, part.name, part.value)
		}
	}
	if s.MaxRuns > 0 {
		words = append(words, "at most", count(s.MaxRuns, "time"))
	}
	return strings.Join(words, " ")
}

// printSchedule prints one schedule.
func printSchedule(c *cli.Context, s client.ScheduleState) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, s)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\n", s.ID)
	fmt.Fprintf(w, "when\t%s\n", printable(when(s)))
	fmt.Fprintf(w, "push\t%s\n", printable(string(s.Push)))
	fmt.Fprintf(w, "runs\t%d\n", s.Runs)
	if s.Error != "" {
		fmt.Fprintf(w, "error\t%s\n", printable(s.Error))
	}
	fmt.Fprintf(w, "next\t%s\n", nextRun(s))
	for i, run := range s.NextRuns {
		if i > 0 {
			fmt.Fprintf(w, "\t%s\n", run.Format(time.RFC3339))
		}
	}
	return w.Flush()
}
