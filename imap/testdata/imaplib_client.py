"""A session by Python's imaplib, an implementation of RFC 3501 of its own."""
import imaplib
import sys
import time

host, port = sys.argv[1], int(sys.argv[2])


def ok(answer):
    status, data = answer
    assert status == "OK", (status, data)
    return data


imaplib.Debug = 0
c = imaplib.IMAP4(host, port)
assert "IDLE" in c.capabilities, c.capabilities
ok(c.login("ann", "secret"))
assert "UIDPLUS" in c.capability()[1][0].decode(), c.capability()

ok(c.create("Projekte/K&APY-ln"))
names = [line.decode() for line in ok(c.list())]
assert any('"/" Projekte/K&APY-ln' in n for n in names), names
assert any("\\Sent" in n for n in names), names
ok(c.subscribe("Projekte"))
assert any(b"Projekte" in n for n in ok(c.lsub()))

message = b"Subject: by imaplib\r\nFrom: ann@example.test\r\n\r\nHello from Python.\r\n"
date = imaplib.Time2Internaldate(time.time())
code = ok(c.append("INBOX", "(\\Flagged work)", date, message))[0]
assert b"APPENDUID" in code, code
ok(c.append("INBOX", None, None, b"Subject: two\r\n\r\n(second)\r\n"))
status, data = c.append("nowhere", None, None, message)
assert status == "NO" and b"TRYCREATE" in data[0], (status, data)

assert ok(c.select("INBOX")) == [b"2"]
assert c.response("UIDNEXT")[1] == [b"3"]
assert ok(c.search(None, "SUBJECT", '"imaplib"')) == [b"1"]
assert ok(c.search("UTF-8", "BODY", "second")) == [b"2"]
assert ok(c.uid("SEARCH", None, "KEYWORD", "work")) == [b"1"]

data = ok(c.fetch("1", "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
assert data[0][1] == message, data
assert imaplib.ParseFlags(data[0][0]) >= (b"\\Flagged",) or b"\\Flagged" in data[0][0], data
data = ok(c.fetch("1:2", "(ENVELOPE BODYSTRUCTURE)"))
assert len(data) == 2 and b'"by imaplib"' in data[0], data
data = ok(c.fetch("2", "(BODY[TEXT])"))
assert data[0][1] == b"(second)\r\n", data

data = ok(c.store("2", "+FLAGS", "\\Deleted"))
assert b"\\Deleted" in data[0] and b"\\Seen" in data[0], data
assert b"COPYUID" in ok(c.copy("1:2", "Projekte/K&APY-ln"))[0]
assert ok(c.expunge()) == [b"2"]
ok(c.uid("MOVE", "1", "Trash"))
assert ok(c.status("Trash", "(MESSAGES UNSEEN)"))[0] == b"Trash (MESSAGES 1 UNSEEN 1)"
assert ok(c.namespace())[0] == b'(("" "/")) (("~" "/")) (("~public/" "/"))'
ok(c.close())

ok(c.rename("Projekte/K&APY-ln", "Archiv"))
assert ok(c.select("Archiv", readonly=True)) == [b"2"]
status, data = c.store("1", "+FLAGS", "\\Seen")
assert status == "NO", (status, data)
ok(c.unselect())
ok(c.delete("Archiv"))
status, data = c.delete("Archiv")
assert status == "NO" and b"NONEXISTENT" in data[0], (status, data)
assert c.logout()[0] == "BYE"

c = imaplib.IMAP4(host, port)
status = ok(c.authenticate("PLAIN", lambda challenge: b"\0ann\0secret"))
ok(c.noop())
c.logout()
c = imaplib.IMAP4(host, port)
try:
    c.login("ann", "wrong")
except imaplib.IMAP4.error as e:
    assert b"AUTHENTICATIONFAILED" in e.args[0], e
else:
    raise AssertionError("a wrong password was taken")
c.shutdown()
print("done")
