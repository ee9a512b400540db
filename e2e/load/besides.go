package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// besides starts the other servers that are there, for a protocol of readers and
// with some mailboxes. stop ends them; after an error nothing is left to be ended.
func besides(ctx context.Context, protocol string, boxes []popBox) (servers []*popServer, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	d, err := startDovecot(ctx, protocol, boxes)
	if err == nil {
		servers, stops = append(servers, d.servers()...), append(stops, d.stop)
	} else if err = absent(protocol, err); err != nil {
		return nil, stop, err
	}
	c, err := startCyrus(ctx, protocol, boxes)
	if err == nil {
		servers, stops = append(servers, c.server()), append(stops, c.stop)
	} else if err = absent(protocol, err); err != nil {
		stop()
	}
	return servers, stop, err
}

// absent says of a server that it is not there to be measured, and returns any
// other error.
func absent(what string, err error) error {
	if errors.Is(err, errNoDovecot) || errors.Is(err, errNoCyrus) || errors.Is(err, errNoPostfix) {
		fmt.Printf("%s: %v: it is not measured\n", what, err)
		return nil
	}
	return err
}

// missed says of a figure that another server does not give it, and why: its cell
// stays empty. Ours, the first, must give all of them.
func missed(figure string, server int, name string, err error) error {
	if err == nil || server == 0 {
		return err
	}
	why, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Printf("%s: %s: %s: left empty\n", figure, name, why)
	return nil
}
