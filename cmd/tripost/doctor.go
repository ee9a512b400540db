package main

import (
	"fmt"

	"tripost/admin"
	"tripost/smtp/doctor"
	"tripost/smtp/mtasts"
)

// newDoctor makes the part that looks at our domains from outside.
func (r *rooms) newDoctor() (*doctor.Doctor, error) {
	authorities, err := readAuthorities("queue.authorities", r.cfg.Queue.Authorities)
	if err != nil {
		return nil, err
	}
	return &doctor.Doctor{
		Hostname: r.cfg.Hostname, DNS: r.resolver, TLSA: r.resolver, Keys: r.keys, Port: r.cfg.Queue.SMTPPort, RootCAs: authorities,
		Policies: mtasts.New(r.resolver, r.queue, mtasts.Options{
			Port: r.cfg.Queue.PolicyPort, RootCAs: authorities, Log: r.log.Tag("SMTP"),
		}),
	}, nil
}

// examine shows how domains look from outside, and what the DNS should have. It
// fails when something is wrong.
func examine(e *environment, args []string) error {
	var q admin.NameRequest
	if len(args) > 0 {
		if err := need(args, "DOMAIN"); err != nil {
			return err
		}
		q.Name = args[0]
	}
	list, err := answer[[]admin.DoctorFinding](e, "domain/examine", q)
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(list)
	} else {
		e.showFindings(list)
	}
	wrong := 0
	for _, f := range list {
		if f.State == string(doctor.Wrong) {
			wrong++
		}
	}
	if err == nil && wrong > 0 {
		return fmt.Errorf("%d things are wrong", wrong)
	}
	return err
}

func (e *environment) showFindings(list []admin.DoctorFinding) {
	e.table("DOMAIN|TOPIC|STATE|FINDING", func(row func(...any)) {
		for _, f := range list {
			row(f.Domain, f.Topic, f.State, f.Text)
		}
	})
	said := false
	for _, f := range list {
		for _, line := range f.Publish {
			if !said {
				fmt.Fprint(e.stdout, "\nTo be published in the DNS:\n\n")
				said = true
			}
			fmt.Fprintln(e.stdout, printable(line))
		}
	}
}
