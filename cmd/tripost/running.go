package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tripost/admin"
	"tripost/syslog"
)

func configCheck(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	path := findConfig(e.configPath)
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	if err := cfg.checkFiles(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintln(e.stdout, path, "is right")
	return nil
}

func configShow(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	cfg, err := loadConfig(findConfig(e.configPath))
	if err != nil {
		return err
	}
	cfg.Store.URL = withoutPassword(cfg.Store.URL)
	text, err := toml.Marshal(cfg)
	if err != nil {
		return err
	}
	if e.json {
		keys := map[string]any{} // as they are named in the file
		if err := toml.Unmarshal(text, &keys); err != nil {
			return err
		}
		return e.printJSON(keys)
	}
	_, err = e.stdout.Write(text)
	return err
}

// withoutPassword hides the password that the address of a database may have.
func withoutPassword(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil {
		return "xxxxx"
	}
	if u.Query().Has("password") {
		u.RawQuery = "xxxxx"
	}
	return u.Redacted()
}

func routeTest(e *environment, args []string) error {
	args, login := takeFlag(args, "--login")
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "route/test", admin.RouteRequest{Address: args[0], Login: login}, func(r admin.RouteInfo) {
		e.table("ADDRESS|RULE|RESULT", func(row func(...any)) {
			for _, s := range r.Steps {
				row(s.Address, s.Rule, s.Result)
			}
		})
		fmt.Fprintf(e.stdout, "\n%s\ndecided by: %s\n", printable(r.Outcome), printable(r.Rule))
	})
}

func queueList(e *environment, args []string) error {
	args, q := takeSelection(args)
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "queue/list", q, func(list []admin.QueueItem) {
		e.table("ID|FROM|RECIPIENTS|SIZE|ARRIVED|NEXT|TRIED|STATE", func(row func(...any)) {
			for _, m := range list {
				row(m.ID, "<"+m.From+">", recipients(m), m.Size, when(m.Created), when(m.Next), m.Attempts, state(m))
			}
		})
	})
}

// takeSelection takes --sender S and --domain D out of the arguments.
func takeSelection(args []string) (rest []string, q admin.QueueRequest) {
	args, q.Sender = takeValue(args, "--sender")
	rest, q.Domain = takeValue(args, "--domain")
	return rest, q
}

// recipients names the first recipient and counts the rest.
func recipients(m admin.QueueItem) string {
	if len(m.Recipients) == 0 {
		return ""
	}
	s := "<" + m.Recipients[0].Address + ">"
	if n := len(m.Recipients) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

func state(m admin.QueueItem) string {
	if !m.Held {
		return m.LastError
	}
	held := 0
	for _, r := range m.Recipients {
		if r.Status == "held" {
			held++
		}
	}
	if held < len(m.Recipients) {
		return fmt.Sprintf("held for %d of %d", held, len(m.Recipients))
	}
	return "held"
}

func queueShow(e *environment, args []string) error {
	if err := need(args, "ID"); err != nil {
		return err
	}
	return ask(e, "queue/show", admin.QueueRequest{ID: args[0]}, func(m admin.QueueItem) {
		e.table("MESSAGE|"+m.ID, func(row func(...any)) {
			row("from", "<"+m.From+">")
			row("size", m.Size)
			row("arrived", when(m.Created))
			row("next attempt", when(m.Next))
			row("attempts", m.Attempts)
			row("state", state(m))
			rowIfSet(row, "last connection", m.Secured)
			rowIfSet(row, "account", m.Account)
			for _, r := range m.Recipients {
				row("to", fmt.Sprintf("<%s> by %s %s", r.Address, r.Host, r.Status))
			}
		})
	})
}

// queueVerb is a command that does one thing to one queued message, or to those
// that are selected, and then says how many that were.
func queueVerb(operation string) func(*environment, []string) error {
	return func(e *environment, args []string) error {
		args, q := takeSelection(args)
		var names []string
		var into []*string
		if operation == "queue/reroute" {
			names, into = append(names, "HOST"), append(into, &q.Host)
		}
		several := q.Sender != "" || q.Domain != ""
		if !several {
			names, into = append(names, "ID"), append(into, &q.ID)
		}
		if err := need(args, names...); err != nil {
			return err
		}
		for i, to := range into {
			*to = args[i]
		}
		return ask(e, operation, q, func(c admin.QueueCount) {
			if several {
				fmt.Fprintln(e.stdout, c.Messages, "messages")
			}
			if c.Held > 0 {
				fmt.Fprintf(e.stdout, "held, in whole or in part: %d; queue release lets them go on\n", c.Held)
			}
		})
	}
}

func storeStatus(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "store/status", admin.None{}, func(s admin.StoreInfo) {
		e.table("ENGINE|"+s.Engine, func(row func(...any)) {
			row("format", s.Format)
			row("writing", writing(s.ReadOnly))
			row("octets on disk", s.DiskOctets)
			row("octets of mail", s.LiveOctets)
			row("updates", s.Updates)
			row("commits", s.Commits)
			row("syncs", s.Syncs)
			row("opened", when(s.Opened))
			row("recovered", s.Recovered)
		})
	})
}

func writing(readOnly string) string {
	if readOnly != "" {
		return "refused: " + readOnly
	}
	return "yes"
}

func storeCheck(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	check, err := answerLong[admin.CheckInfo](e, "store/check", admin.None{}, e.bar("checked"))
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(check)
	} else {
		e.showCheck(check)
	}
	if err == nil && check.FaultCount > 0 {
		return fmt.Errorf("the store has %d faults", check.FaultCount)
	}
	return err
}

func (e *environment) showCheck(c admin.CheckInfo) {
	for _, f := range c.Faults {
		fmt.Fprintf(e.stdout, "%s: %s\n", printable(f.Place), printable(f.Text))
	}
	fmt.Fprintf(e.stdout, "%d accounts, %d mailboxes, %d messages, %d removed ones kept; %d keys, %d bodies of %d octets, %d octets on disk: %d faults\n",
		c.Accounts, c.Mailboxes, c.Messages, c.Expunged, c.Keys, c.Bodies, c.BodyOctets, c.DiskOctets, c.FaultCount)
}

func storeCompact(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	c, err := answerLong[admin.CompactInfo](e, "store/compact", admin.None{}, e.bar("compacted"))
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(c)
	}
	fmt.Fprintln(e.stdout, c.Freed, "octets freed")
	return nil
}

// showLog reads the log files themselves: it works whether the server runs or not.
func showLog(e *environment, args []string) error {
	args, follow := takeFlag(args, "--follow")
	var f syslog.Filter
	f.Level = syslog.Raw
	for i := 0; i < len(args); i++ {
		name, value, ok := strings.Cut(args[i], "=")
		if !ok {
			if i++; i == len(args) {
				return usagef("%s needs a value", name)
			}
			value = args[i]
		}
		if err := setFilter(&f, name, value); err != nil {
			return err
		}
	}
	cfg, err := loadConfig(findConfig(e.configPath))
	if err != nil {
		return err
	}
	if cfg.Log.Directory == "-" {
		return errors.New("the log goes to standard error of the server (log.directory): there are no files to read")
	}
	return syslog.Read(e.ctx, cfg.Log.Directory, f, follow, func(line string) error {
		_, err := fmt.Fprintln(e.stdout, line)
		return err
	})
}

func setFilter(f *syslog.Filter, name, value string) error {
	switch name {
	case "--tag":
		f.Tag = strings.ToUpper(value)
	case "--session":
		f.Session = value
	case "--level":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > int(syslog.Raw) {
			return usagef("--level: %q is not between 0 and 5", value)
		}
		f.Level = syslog.Level(n)
	case "--since":
		since, err := parseSince(value, time.Now())
		if err != nil {
			return err
		}
		f.Since = since
	default:
		return usagef("log: there is no %s", name)
	}
	return nil
}

// parseSince reads a point in time: a duration back from now (90s, 15m, 12h,
// 14d), a time of today (15:04), a date, or both.
func parseSince(s string, now time.Time) (time.Time, error) {
	var back Duration
	if back.UnmarshalText([]byte(s)) == nil {
		return now.Add(-back.Duration), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--since: %q is not a duration such as 2h, a time such as 14:30 or a date such as 2026-01-31", s)
}
