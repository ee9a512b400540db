package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tripost/admin"
)

// crash is a kill of one site, and what the queues of both held while it was dead:
// what had not been recorded as sent.
type crash struct {
	site  string
	waits map[string]map[string]bool // by site, queue ids
}

// crashes kills the sites at random points of the exchange, which the seed
// decides: $TRIPOST_EXCHANGE_SEED, or one that is printed.
func (x *exchange) crashes(sent *mailbag, messages, kills int) (all []crash) {
	x.t.Helper()
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("TRIPOST_EXCHANGE_SEED"), 10, 64); err == nil {
		seed = n
	}
	r := rand.New(rand.NewPCG(seed, 0))
	var points []int
	for range kills {
		points = append(points, 1+r.IntN(messages*9/10))
	}
	slices.Sort(points)
	x.t.Logf("TRIPOST_EXCHANGE_SEED=%d: kills after %v messages", seed, points)
	for _, n := range points {
		side := x.sides[r.IntN(2)]
		sent.await(n)
		side.kill()
		c := crash{site: side.name, waits: map[string]map[string]bool{}}
		for _, s := range x.sides {
			c.waits[s.name] = s.queued()
		}
		all = append(all, c)
		side.start()
	}
	return all
}

// queued returns the ids of what waits in a queue; the server may be dead.
func (s *site) queued() map[string]bool {
	s.t.Helper()
	var items []admin.QueueItem
	if err := json.Unmarshal([]byte(s.run("queue", "list", "--json")), &items); err != nil {
		s.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, it := range items {
		ids[it.ID] = true
	}
	return ids
}

// arrival is one copy of a message.
type arrival struct {
	at        *site  // where it came
	from, own string // queue ids, of the site that sent it and of this one
}

var received = regexp.MustCompile(`(?m)^Received: .* by mx\.(left|right)\.test .* id (\d+);`)

// arrivalOf reads the queue ids out of the Received fields.
func (x *exchange) arrivalOf(at *site, m *exported) arrival {
	x.t.Helper()
	found := received.FindAllStringSubmatch(m.header, -1)
	if len(found) != 2 || found[0][1] != at.name || found[1][1] != at.other.name {
		x.t.Fatalf("%s has got a message with other Received fields: %q", at.name, m.header)
	}
	return arrival{at: at, from: found[1][2], own: found[0][2]}
}

// records are what the System Log of a site tells of what it took and of what it
// sent.
type records struct {
	taken   map[string][]string // queue ids by connection, in their order
	session map[string]string   // the connection by queue id
	sent    map[string][]string // by queue id, the ids that the other site answered with
}

var (
	startLine   = regexp.MustCompile(` SYSTEM tripost \S+ started, process `)
	takenLine   = regexp.MustCompile(` QUEUE\(\[(\d+)\]\) from <.*, (SMTPI-\d+)$`)
	relayedLine = regexp.MustCompile(` QUEUE\(\[(\d+)\]\) SMTP\(.*> relayed via .*: 250 2\.0\.0 (\d+) `)
)

// records reads the System Log. What was written in the moment of a kill may be
// missing in it.
func (s *site) records() records {
	s.t.Helper()
	r := records{map[string][]string{}, map[string]string{}, map[string][]string{}}
	life := 0
	for line := range strings.Lines(s.log()) {
		line = strings.TrimSuffix(line, "\n")
		if startLine.MatchString(line) {
			life++
		} else if m := takenLine.FindStringSubmatch(line); m != nil {
			session := strconv.Itoa(life) + " " + m[2] // numbers begin anew with each start
			r.taken[session] = append(r.taken[session], m[1])
			r.session[m[1]] = session
		} else if m := relayedLine.FindStringSubmatch(line); m != nil {
			r.sent[m[1]] = append(r.sent[m[1]], m[2])
		}
	}
	return r
}

// log returns the whole System Log.
func (s *site) log() string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "data", "SystemLogs", "*.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// excuse holds what came more than once against the records of both sites. Each
// copy but the last must have been in flight at a kill: the site that sent it had
// not recorded it, and had begun nothing after it on that connection.
func (x *exchange) excuse(copies map[string][]arrival, kills []crash) (twice int) {
	x.t.Helper()
	logs := map[string]records{}
	for _, s := range x.sides {
		logs[s.name] = s.records()
	}
	for id, all := range copies {
		last := all[len(all)-1]
		here, there := logs[last.at.name], logs[last.at.other.name]
		if told := there.sent[last.from]; len(told) > 1 || len(told) == 1 && told[0] != last.own {
			x.t.Errorf("%s: the records of %s say that %s was taken as %v, the last copy is %s", id, last.at.other.name, last.from, told, last.own)
		}
		waited := 0
		for _, k := range kills {
			if k.waits[last.at.other.name][last.from] {
				waited++
			}
		}
		if again := len(all) - 1; again > waited {
			x.t.Errorf("%s came %d times too often, but %s waited in the queue of %s at %d kills", id, again, last.from, last.at.other.name, waited)
		}
		for _, c := range all[:len(all)-1] {
			twice++
			if c.from != last.from {
				x.t.Errorf("%s was sent as %s and as %s", id, c.from, last.from)
			}
			session, known := here.session[c.own]
			by := here.taken[session]
			switch {
			case known && by[len(by)-1] != c.own:
				x.t.Errorf("%s came as %s, and the connection brought %v: it was not in flight any more", id, c.own, by)
			case !known && !slices.ContainsFunc(kills, func(k crash) bool { return k.site == c.at.name }):
				x.t.Errorf("%s came as %s, of which the log of %s does not know", id, c.own, c.at.name)
			}
		}
	}
	return twice
}
