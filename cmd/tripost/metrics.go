package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"

	"tripost/accounts"
	"tripost/syslog"
)

// metricsType is the media type of the OpenMetrics text format.
const metricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// serveMetrics answers GET /metrics: counters and gauges as OpenMetrics. They
// name no user, no address and no message.
func (s *server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	waiting, err := s.queue.Len(r.Context())
	if err != nil {
		s.log.Log(syslog.Problem, "metrics: "+err.Error())
		http.Error(w, "the queue cannot be counted", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", metricsType)
	m := &exposition{}
	m.process()
	m.modules(s.modules)
	m.signIns(s.auth)
	m.family("tripost_submitted_messages", "counter", "Messages taken for delivery, from all modules.")
	m.value("tripost_submitted_messages_total", "", s.queue.Submitted())
	m.family("tripost_queue_messages", "gauge", "Messages that wait for other hosts.")
	m.value("tripost_queue_messages", "", waiting)
	m.store(s)
	m.text.WriteString("# EOF\n")
	io.WriteString(w, m.text.String()) // the client has gone if this fails
}

// exposition collects the families of one answer.
type exposition struct{ text strings.Builder }

// family begins the samples of one name.
func (m *exposition) family(name, kind, help string) {
	fmt.Fprintf(&m.text, "# TYPE %s %s\n# HELP %s %s\n", name, kind, name, help)
}

// value writes a sample. labels are as in the format, without braces.
func (m *exposition) value(name, labels string, v any) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(&m.text, "%s%s %v\n", name, labels, v)
}

func (m *exposition) process() {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.family("tripost_build", "info", "The version that runs.")
	m.value("tripost_build_info", fmt.Sprintf("version=%q", version), 1)
	m.family("tripost_memory_octets", "gauge", "Memory that the system has given to the process.")
	m.value("tripost_memory_octets", "", mem.Sys-mem.HeapReleased)
	m.family("tripost_goroutines", "gauge", "Goroutines, about one for each connection.")
	m.value("tripost_goroutines", "", runtime.NumGoroutine())
}

func (m *exposition) modules(modules []module) {
	m.family("tripost_connections", "gauge", "Connections at the moment.")
	for _, module := range modules {
		m.value("tripost_connections", label(module), module.server.Count())
	}
	m.family("tripost_accepted_connections", "counter", "Connections taken.")
	for _, module := range modules {
		taken, _ := module.server.Totals()
		m.value("tripost_accepted_connections_total", label(module), taken)
	}
	m.family("tripost_refused_connections", "counter", "Connections refused because of a limit.")
	for _, module := range modules {
		_, refused := module.server.Totals()
		m.value("tripost_refused_connections_total", label(module), refused)
	}
}

func label(m module) string { return fmt.Sprintf("module=%q", strings.ToLower(m.name)) }

func (m *exposition) signIns(auth *accounts.Authenticator) {
	accepted, refused := auth.Totals()
	m.family("tripost_sign_ins", "counter", "Sign-ins by result.")
	m.value("tripost_sign_ins_total", `result="accepted"`, accepted)
	m.value("tripost_sign_ins_total", `result="refused"`, refused)
	m.family("tripost_password_checks", "counter", "Passwords that were hashed to check them.")
	m.value("tripost_password_checks_total", "", auth.Hashed())
}

func (m *exposition) store(s *server) {
	status := s.store.Engine().Status()
	writable := 1
	if status.ReadOnly != nil {
		writable = 0
	}
	m.family("tripost_store_writable", "gauge", "1 while the store takes mail.")
	m.value("tripost_store_writable", "", writable)
	m.family("tripost_store_disk_octets", "gauge", "What the store takes on disk.")
	m.value("tripost_store_disk_octets", "", status.DiskOctets)
	m.family("tripost_store_live_octets", "gauge", "Mail in the store, with what can be restored.")
	m.value("tripost_store_live_octets", "", status.LiveOctets)
	m.family("tripost_store_updates", "counter", "Transactions made durable.")
	m.value("tripost_store_updates_total", "", status.Updates)
	m.family("tripost_store_commits", "counter", "Groups of transactions, each one write.")
	m.value("tripost_store_commits_total", "", status.Commits)
	m.family("tripost_store_syncs", "counter", "Times that the store waited for the disk.")
	m.value("tripost_store_syncs_total", "", status.Syncs)
}

// serveStatus answers monitoring on the admin listener until ctx ends.
func (s *server) serveStatus(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	return s.serveHealth(ctx, s.health, mux)
}
