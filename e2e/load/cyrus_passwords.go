package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
)

// acceptPasswords is the service that Cyrus SASL asks for passwords, saslauthd, on
// a socket. One password is right for every user, so that what a server's own
// check costs is no part of any figure: each request is four strings (name,
// password, service, realm), the answer is one, each after its length in two
// octets.
func acceptPasswords(socket string) (net.Listener, error) {
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // it is closed
			}
			go func() {
				defer conn.Close()
				if fields, err := saslStrings(conn); err == nil {
					answer := "NO"
					if fields[1] == password {
						answer = "OK"
					}
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
				}
			}()
		}
	}()
	return ln, nil
}

// saslStrings reads a request.
func saslStrings(r io.Reader) (fields [4]string, err error) {
	for i := range fields {
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return fields, err
		}
		text := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(r, text); err != nil {
			return fields, err
		}
		fields[i] = string(text)
	}
	return fields, nil
}
