package main

import (
	"fmt"
	"slices"

	"tripost/admin"
	"tripost/history"
)

func explain(e *environment, args []string) error {
	if err := need(args, "ID"); err != nil {
		return err
	}
	return ask(e, "explain/message", admin.ExplainRequest{ID: args[0]}, func(all []history.Story) {
		for i := range all {
			if i > 0 {
				fmt.Fprintln(e.stdout)
			}
			e.story(&all[i])
		}
	})
}

// story prints what became of one message: a line for each event, and how its
// copies are now.
func (e *environment) story(s *history.Story) {
	if s.MessageID != "" {
		fmt.Fprintf(e.stdout, "Message-ID %s\n", printable(s.MessageID))
	}
	for _, event := range s.Events {
		fmt.Fprintf(e.stdout, "%s  %s\n", event.At.Local().Format("2006-01-02 15:04:05"), printable(event.Text))
	}
	for _, c := range s.Copies {
		where := fmt.Sprintf("in %s of %s (UID %d)", c.Mailbox, c.Account, c.UID)
		switch c.State {
		case "there":
			fmt.Fprintf(e.stdout, "now: %s\n", printable(where))
		case "restorable":
			fmt.Fprintf(e.stdout, "now: removed, was %s; can be restored until %s\n", printable(where), c.Until.Local().Format("2 January 15:04"))
		default:
			fmt.Fprintf(e.stdout, "now: gone, was %s; cannot be restored\n", printable(where))
		}
	}
	if s.QueueID != "" && len(s.Copies) == 0 && !slices.ContainsFunc(s.Events, func(e history.Event) bool { return e.What == "queued" }) {
		fmt.Fprintln(e.stdout, "now: no mailbox has it, and it does not wait to be sent")
	}
	if s.Cut {
		fmt.Fprintln(e.stdout, "There is more than is looked at for one answer.")
	}
}
