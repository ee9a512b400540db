package pop

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// The script is Python's poplib at work, as many small programs use it.
const poplibScript = `
import poplib, ssl, sys
port = int(sys.argv[1])
context = ssl._create_unverified_context()

box = poplib.POP3('127.0.0.1', port, timeout=120)
capabilities = box.capa()
assert 'UIDL' in capabilities and 'STLS' in capabilities and 'TOP' in capabilities, capabilities
assert capabilities['SASL'][0] == 'SCRAM-SHA-256', capabilities
box.stls(context)
assert 'STLS' not in box.capa()
try:
    box.user('ann'); box.pass_('wrong')
    raise AssertionError('a wrong password was taken')
except poplib.error_proto as e:
    assert e.args[0].startswith(b'-ERR [AUTH]'), e
box.user('ann')
box.pass_('secret')
assert 'IMPLEMENTATION' in box.capa()
count, octets = box.stat()
assert count == 3, count
reply, sizes, _ = box.list()
assert sum(int(s.split()[1]) for s in sizes) == octets, sizes
reply, uids, _ = box.uidl()
assert len({u.split()[1] for u in uids}) == 3, uids
assert box.uidl(2).split()[2] == uids[1].split()[1]
for n in range(1, count + 1):
    reply, lines, got = box.retr(n)
    assert got == int(sizes[n-1].split()[1]), (n, got, sizes)
    assert lines[0] == b'Subject: %d' % n, lines
    assert lines[2] == b'.dot', lines
    reply, lines, _ = box.top(n, 1)
    assert len(lines) == 3, lines
box.dele(1)
box.rset()
box.dele(2)
assert box.stat()[0] == 2
try:
    box.retr(2)
    raise AssertionError('a deleted message was sent')
except poplib.error_proto:
    pass
box.noop()
box.quit()

box = poplib.POP3('127.0.0.1', port, timeout=120)
box.user('annie@example.test')
box.pass_('secret')
assert box.stat()[0] == 2
assert [u.split()[1] for u in box.uidl()[1]] == [uids[0].split()[1], uids[2].split()[1]]
box.close()
print('done')
`

func TestPoplib(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: its poplib is not tried")
	}
	w := newWorld(t, false)
	for _, n := range []string{"1", "2", "3"} {
		w.deliver("ann/INBOX", "Subject: "+n+"\r\n\r\n.dot\r\nend\r\n")
	}
	w.run()
	_, port, err := net.SplitHostPort(w.addr)
	must(t, err)
	out, err := exec.Command(python, "-c", poplibScript, port).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "done" {
		t.Errorf("poplib: %v\n%s", err, out)
	}
	w.awaitContents("ann/INBOX", "1 \\Seen\n3 \\Seen\n")
}
