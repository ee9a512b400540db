package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// prepareLMTP writes the configuration of one that takes mail: for an account of
// each number in a domain of each format. Its mail is on stable storage before
// the reply, as it is by default, and as the other server's is.
func (d *dovecot) prepareLMTP() error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	d.addr = "127.0.0.1:" + strconv.Itoa(ports[0])
	var users strings.Builder
	for _, format := range dovecotFormats() {
		for i := range receivers {
			fmt.Fprintf(&users, "user%d@%s.test::%d:%d::%s::userdb_mail=%s:~/box\n",
				i, format, nobody, nobody, d.home(format, i), format)
		}
	}
	config := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
auth_cache_size = 1M
mail_fsync = optimized
first_valid_uid = 1
service lmtp {
  process_min_avail = 4
  process_limit = 200
  inet_listener lmtp {
    port = %[2]d
  }
}
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = passwd-file
  args = %[1]s/users
}
`, d.dir, ports[0])
	err = d.write(config, users.String())
	for _, format := range dovecotFormats() {
		for i := range receivers {
			err = errors.Join(err, os.MkdirAll(d.home(format, i), 0o755))
		}
	}
	return err
}

func (d *dovecot) home(format string, i int) string {
	return filepath.Join(d.dir, "mail", format+strconv.Itoa(i))
}

// delivered counts the messages in the mailboxes of a format, as they are on
// disk: a maildir's have their file in new, those of sdbox are called u. and a
// number when they are in the index.
func (d *dovecot) delivered(format string) (n int, err error) {
	for i := range receivers {
		home := filepath.Join(d.home(format, i), "box")
		dir, prefix := filepath.Join(home, "new"), ""
		if format == "sdbox" {
			dir, prefix = filepath.Join(home, "mailboxes", "INBOX", "dbox-Mails"), "u."
		}
		names, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		for _, name := range names {
			if strings.HasPrefix(name.Name(), prefix) {
				n++
			}
		}
	}
	return n, nil
}
