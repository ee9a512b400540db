package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tripost/store"
)

// What a drill does. The mail of a second on any machine is enough to catch a
// store that answers before it has written.
const (
	drillRounds      = 5
	drillConnections = 20
	drillAccounts    = 5
	drillLongest     = time.Second // of one round
	drillPatience    = 30 * time.Second
)

// DrillInfo is the outcome of a drill.
type DrillInfo struct {
	Kills        int      `json:"kills"`
	Acknowledged int      `json:"acknowledged"`
	Lost         []string `json:"lost,omitempty"`    // acknowledged and not there
	Damaged      []string `json:"damaged,omitempty"` // there, but not as they were sent
	Faults       int      `json:"faults"`            // that the store's check found
	Kept         string   `json:"kept,omitempty"`    // the scratch directory, when something was wrong
}

// storeDrill kills a server of its own in the middle of its work, on the disk
// that the real one uses, and looks for what it had acknowledged. The real
// store is not touched.
func storeDrill(e *environment, args []string) error {
	rounds := drillRounds
	args, text := takeValue(args, "--rounds")
	if text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 || rounds > 10_000 {
			return usagef("--rounds is a number from 1 to 10000")
		}
	}
	if err := need(args); err != nil {
		return err
	}
	cfg, err := loadConfig(findConfig(e.configPath))
	if err != nil {
		return err
	}
	info, err := runDrill(e.ctx, cfg, rounds)
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(info)
	} else {
		fmt.Fprintf(e.stdout, "%d kills, %d acknowledged, %d lost, %d damaged, %d faults in the store\n",
			info.Kills, info.Acknowledged, len(info.Lost), len(info.Damaged), info.Faults)
	}
	if info.Kept != "" {
		return errors.Join(err, fmt.Errorf("the disk or this program does not keep what it acknowledges; what is left is in %s", info.Kept))
	}
	return err
}

// drill is one drill.
type drill struct {
	cfg    Config // of the scratch server
	dir    string // everything but the socket
	config string // path of the configuration
	socket string

	mu           sync.Mutex
	acknowledged map[string]bool
	sent         int
}

func runDrill(ctx context.Context, real Config, rounds int) (info DrillInfo, err error) {
	d, err := newDrill(ctx, real)
	if err != nil {
		return info, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(d.socket)))
		if info.Kept == "" {
			err = errors.Join(err, os.RemoveAll(d.dir))
		}
	}()
	for range rounds {
		if err := d.round(ctx); err != nil {
			return info, err
		}
		info.Kills++
	}
	info.Acknowledged = len(d.acknowledged)
	if err := d.judge(ctx, &info); err != nil {
		return info, err
	}
	if len(info.Lost)+len(info.Damaged)+info.Faults > 0 {
		info.Kept = d.dir
	}
	return info, nil
}

// newDrill makes the scratch store, with accounts.
func newDrill(ctx context.Context, real Config) (*drill, error) {
	dir, err := os.MkdirTemp(real.Data, drillPrefix)
	if err != nil {
		return nil, err
	}
	sockets, err := os.MkdirTemp("", "tripost") // a socket's path must be short
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	d := &drill{dir: dir, config: filepath.Join(dir, "tripost.toml"), socket: filepath.Join(sockets, "lmtp"), acknowledged: map[string]bool{}}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir), os.RemoveAll(sockets))
	}
	return d, nil
}

// drillPrefix begins the names of scratch directories in the data directory.
const drillPrefix = "drill-"

// drillConfig is a server that takes mail on a socket and does nothing else.
const drillConfig = `hostname = "drill.test"
data = "data"
log.level = 2
pop.channels = 0
imap.channels = 0
smtp.listen = []
submission.listen = []
submission.listen_tls = []
admin.listen = ""
lmtp.listen = ["unix:%s"]
`

func (d *drill) prepare(ctx context.Context) error {
	err := os.WriteFile(d.config, fmt.Appendf(nil, drillConfig, d.socket), 0o600)
	if err != nil {
		return err
	}
	if d.cfg, err = loadConfig(d.config); err != nil {
		return err
	}
	if err := makeData(d.cfg.Data); err != nil {
		return err
	}
	r, err := openRooms(ctx, d.cfg, nil)
	if err != nil {
		return err
	}
	_, err = r.directory.AddDomain(ctx, "drill.test")
	for n := 0; n < drillAccounts && err == nil; n++ {
		_, err = r.directory.AddAccount(ctx, drillAddress(n), "")
	}
	return errors.Join(err, r.close())
}

func drillAddress(n int) string { return fmt.Sprintf("user%d@drill.test", n) }

// round starts a server, has mail delivered to it, and kills it.
func (d *drill) round(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(program, "--config", d.config, "serve")
	var said strings.Builder
	child.Stderr = &said
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting a server: %w", err)
	}
	stopped := make(chan struct{})
	go func() { child.Wait(); close(stopped) }()
	defer func() { child.Process.Kill(); <-stopped }()
	if err := d.awaitServer(ctx, stopped); err != nil {
		return fmt.Errorf("the server of the drill: %w: %s", err, strings.TrimSpace(said.String()))
	}
	var senders sync.WaitGroup
	for range drillConnections {
		d.sent++
		name := fmt.Sprint(d.sent)
		senders.Go(func() { d.deliver(name) })
	}
	moment := time.NewTimer(drillLongest/10 + rand.N(drillLongest*9/10))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ctx.Done():
	}
	child.Process.Kill() // which also ends the connections
	<-stopped
	senders.Wait()
	return ctx.Err()
}

// awaitServer waits until the server takes connections.
func (d *drill) awaitServer(ctx context.Context, stopped <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, drillPatience)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if conn, err := net.Dial("unix", d.socket); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-stopped:
			return errors.New("it has ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver hands over one message after the other until the connection breaks,
// and notes those that were acknowledged.
func (d *drill) deliver(sender string) {
	conn, err := textproto.Dial("unix", d.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	say := func(want int, line string) bool {
		if line != "" && conn.PrintfLine("%s", line) != nil {
			return false
		}
		_, _, err := conn.ReadResponse(want)
		return err == nil
	}
	if !say(220, "") || !say(250, "LHLO drill.test") {
		return
	}
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s.%d", sender, n)
		if !say(250, "MAIL FROM:<>") || !say(250, "RCPT TO:<"+drillAddress(n%drillAccounts)+">") || !say(354, "DATA") {
			return
		}
		w := conn.DotWriter()
		io.WriteString(w, drillMail(id)) // an error shows at the reply
		if w.Close() != nil || !say(250, "") {
			return
		}
		d.mu.Lock()
		d.acknowledged[id] = true
		d.mu.Unlock()
	}
}

// drillMail makes a message whose text follows from its id. One in 256 is large
// enough for a file of its own.
func drillMail(id string) string {
	repeat := 40
	if sum := sha256.Sum256([]byte(id)); sum[0] == 0 {
		repeat = 20_000
	}
	return drillID + id + "\r\n\r\n" + strings.Repeat("what was acknowledged must be there\r\n", repeat)
}

const drillID = "Drill-Id: "

// judge compares the store with what was acknowledged.
func (d *drill) judge(ctx context.Context, info *DrillInfo) error {
	r, err := openRooms(ctx, d.cfg, nil)
	if err != nil {
		return err
	}
	err = func() error {
		check, err := r.api.CheckStore(ctx, struct{}{})
		if err != nil {
			return err
		}
		info.Faults = check.FaultCount
		there, err := d.read(ctx, r, info)
		for id := range d.acknowledged {
			if there[id] == 0 {
				info.Lost = append(info.Lost, id)
			}
		}
		for id, n := range there {
			if n > 1 {
				info.Damaged = append(info.Damaged, fmt.Sprintf("%s, which is there %d times", id, n))
			}
		}
		return err
	}()
	return errors.Join(err, r.close())
}

// read reads every message and counts those that are whole.
func (d *drill) read(ctx context.Context, r *rooms, info *DrillInfo) (map[string]int, error) {
	there := map[string]int{}
	var mu sync.Mutex
	var g errgroup.Group
	for n := range drillAccounts {
		g.Go(func() error {
			account, err := r.directory.Account(ctx, drillAddress(n))
			if err != nil {
				return err
			}
			return eachBody(ctx, r.store, account.ID, func(text string, err error) {
				id, whole := wholeDrillMail(text)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || !whole {
					info.Damaged = append(info.Damaged, fmt.Sprintf("%q of user%d: %v", id, n, err))
				} else {
					there[id]++
				}
			})
		})
	}
	return there, g.Wait()
}

// wholeDrillMail finds the id of a message, and tells whether the rest is what
// belongs to it. Our own trace fields stand before it.
func wholeDrillMail(text string) (id string, whole bool) {
	at := strings.Index(text, "\r\n"+drillID)
	if at < 0 {
		return "", false
	}
	text = text[at+2:]
	id, _, _ = strings.Cut(strings.TrimPrefix(text, drillID), "\r\n")
	return id, text == drillMail(id)
}

// eachBody calls fn with the octets of every message in an account's INBOX.
func eachBody(ctx context.Context, st *store.Store, account store.AccountID, fn func(text string, err error)) error {
	v, err := st.Open(ctx, store.System(), store.MailboxRef{Account: account, Name: store.Inbox}, true)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := v.Load(ctx); err != nil {
		return err
	}
	var text strings.Builder
	for seq := 1; seq <= v.Len(); seq++ {
		body, err := st.OpenBody(ctx, v.At(seq).Body)
		if err != nil {
			fn("", err)
			continue
		}
		text.Reset()
		_, err = body.WriteTo(&text)
		fn(text.String(), errors.Join(err, body.Close()))
	}
	return nil
}
