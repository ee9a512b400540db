package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// section is what the page says of a run.
type section struct{ run, title, text string }

// sections are those of the page, in its order.
func sections() []section {
	return []section{
		{"receive", "Receiving", "Mail comes in by SMTP and is acknowledged; it is durable then, and can be read. Beside us Postfix hands it to Dovecot and to Cyrus by LMTP, and the rate is that of mail which can be read."},
		{"syncs", "Syncs", "Calls of fsync, fdatasync and the like for each message, counted from outside by strace; the fewer the better, and with none nothing would be durable. Ours have those of a start and a stop among them. The ratio is the least of the others' to ours."},
		{"pop", "POP", "The same messages and the same client for all. Dovecot keeps them in maildir and in sdbox. Cyrus opens a mailbox for one POP session at a time, so there are no figures of it with several; its RETR is slow one by one because its process waits, not because it works."},
		{"imap", "IMAP", "As for POP. Flags are durable here before the answer; Dovecot, as shipped, does not sync them."},
		{"send", "Queue and sending", "Messages for other hosts, to a sink on the same machine that takes all of them. Postfix does the same with its package's settings and as many connections."},
		{"smtp", "Deliveries", "SMTP to random accounts of 200, each message durable before its reply."},
		{"idle", "Idle connections", "What a connection adds that is signed in, has a mailbox open, and waits."},
		{"push", "News", "From a change to the news of it in sessions that idle."},
		{"memory", "Memory", "Resident memory when the server has settled."},
		{"growth", "Growth", "The same workloads on one store that grows; mailboxes have 1,000 messages, and the further accounts are empty. Microseconds are the server's CPU time for each, with what it does in the background meanwhile, the least of three turns. What is read has been read before."},
	}
}

// page returns the whole page.
func (r *report) page(chart string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Performance

What ` + "`make compare`" + ` measured of the built binary, from outside, beside other servers where they are
installed; each section says when and on what. This page and its chart are written by ` + "`go run ./e2e/load`" + `,
from the figures in performance.json; a run that is repeated replaces its section.

Clients and servers share the machine over loopback, without TLS, so a rate is what both together reach, and
figures vary by a third from run to run, and more where the load before it says that the machine had other work; ratios less, for the servers take turns within each figure, and the better of two turns counts. A
ratio is our rate to that of the best of the others; where a cell is empty, the server was not there to be measured, or does not do such a thing. CPU is the server's for one message, session or command, as a share of the
least that any of the others needs. The other servers run as Debian ships them, with their syncs, on scratch directories, and without the cost of checking passwords. Debian's package
of Cyrus cannot be installed beside Dovecot's; it is measured as well when it, and the libraries that it needs, are unpacked (` + "`dpkg-deb -x`" + `) in /opt/cyrus.

`)
	if r.compared() {
		fmt.Fprintf(&b, "![our rates as ratios to the best of the others](%s)\n\n", chart)
	}
	for _, s := range sections() {
		if result := r.Results[s.run]; result != nil {
			result.section(&b, s)
		}
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

// compared reports whether any figure has another server's beside it.
func (r *report) compared() bool {
	for _, result := range r.Results {
		if slices.ContainsFunc(result.Figures, func(f figure) bool { return f.ratio() > 0 }) {
			return true
		}
	}
	return false
}

// section appends what one run saw.
func (r *result) section(b *bytes.Buffer, s section) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", s.title, s.text)
	fmt.Fprintf(b, "%s; %s; %s; each figure over %g s; load averages of 1 and 5 minutes before: %s.\n\n",
		r.Date, r.Machine, strings.Join(r.Versions, ", "), r.Seconds, r.Load)
	if r.Growth != nil {
		r.Growth.table(b)
	}
	if len(r.Figures) > 0 {
		r.table(b, s.run)
	}
}

// table appends the figures of a run: one column for each server.
func (r *result) table(b *bytes.Buffer, run string) {
	var servers []string
	for _, f := range r.Figures {
		for _, v := range f.Values {
			if !slices.Contains(servers, v.Server) {
				servers = append(servers, v.Server)
			}
		}
	}
	columns := append([]string{"what"}, servers...)
	switch timed := slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Values[0].CPU > 0 }); {
	case len(servers) > 1:
		columns = append(columns, "ratio", "CPU")
	case timed:
		columns = append(columns, "CPU of each")
	}
	columns = append(columns, "asked", "reached")
	row(b, columns...)
	row(b, slices.Repeat([]string{"---"}, len(columns))...)
	for _, f := range r.Figures {
		cells := []string{f.What}
		for _, server := range servers {
			cells = append(cells, f.cell(server))
		}
		switch {
		case len(servers) > 1:
			cells = append(cells, decimal(f.ratio()), decimal(f.ratioOfCPU()))
		case len(columns) > len(cells)+2:
			cells = append(cells, number(f.Values[0].CPU)+" us")
		}
		g, ok := goalOf(run, f.What)
		cells = append(cells, g.words(f.Unit), "")
		if ok && (f.ratio() > 0 || g.most > 0 || g.least > 0) {
			cells[len(cells)-1] = map[bool]string{true: "yes", false: "**no**"}[g.reached(f)]
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
}

func row(b *bytes.Buffer, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// cell returns what a server did, empty where it was not measured.
func (f figure) cell(server string) string {
	for _, v := range f.Values {
		if v.Server == server {
			return number(v.Amount) + f.Unit
		}
	}
	return ""
}

// words says what is asked.
func (g goal) words(unit string) string {
	var parts []string
	if g.times == 1 {
		parts = append(parts, "ahead")
	} else if g.times > 0 {
		parts = append(parts, decimal(g.times)+" times")
	}
	if g.cpu > 0 {
		parts = append(parts, "a third of the CPU")
	}
	if g.most > 0 {
		parts = append(parts, "at most "+number(g.most)+unit)
	}
	if g.least > 0 {
		parts = append(parts, "at least "+number(g.least)+unit)
	}
	return strings.Join(parts, ", ")
}

// number writes three digits that count, and thousands apart.
func number(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// decimal writes a ratio, empty for none.
func decimal(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 10:
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.0f", v)
}
