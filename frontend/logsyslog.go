package frontend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// syslogSink sends each line to a syslog server in a datagram of its own, in the form of RFC 3164: local0.info, the time,
// over a network the host, and the tag gatehouse[pid].
type syslogSink struct {
	network, addr string
	host          string // with a space behind it; "" where the server is on this machine and knows
	ctx           context.Context
	cancel        context.CancelFunc

	msg  []byte
	unix int64 // the second head is of
	head []byte

	mu   sync.Mutex // guards conn and over, for interrupt
	conn net.Conn   // nil: not connected
	over bool
}

// syslogPriority is facility local0 (16), severity informational (6): RFC 3164 4.1.1.
const syslogPriority = 16*8 + 6

// syslogDialTimeout bounds finding the server: its name may have to be looked up.
const syslogDialTimeout = 5 * time.Second

func newSyslogSink(network, addr string) *syslogSink {
	s := &syslogSink{network: network, addr: addr}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if network == "udp" {
		// "The Domain Name MUST NOT be included in the HOSTNAME field" (RFC 3164 4.1.2).
		name, err := os.Hostname()
		if name, _, _ = strings.Cut(name, "."); err != nil || name == "" {
			name = "localhost"
		}
		s.host = name + " "
	}
	return s
}

// Write sends lines. It connects first where that is needed, again after an error.
func (s *syslogSink) Write(lines []byte) (n int, err error) {
	conn, err := s.connect()
	if err != nil {
		return 0, err
	}
	s.stamp()
	for n < len(lines) {
		end := len(lines)
		if i := bytes.IndexByte(lines[n:], '\n'); i >= 0 {
			end = n + i + 1
		}
		s.msg = append(append(s.msg[:0], s.head...), bytes.TrimSuffix(lines[n:end], []byte("\n"))...)
		_, err := conn.Write(s.msg)
		if s.network == "udp" && errors.Is(err, syscall.ECONNREFUSED) {
			// That is the answer to an earlier datagram, fetched by this call. Over UDP nobody knows whether a server listens.
			_, err = conn.Write(s.msg)
			if errors.Is(err, syscall.ECONNREFUSED) {
				err = nil
			}
		}
		if err != nil {
			s.disconnect()
			return n, err
		}
		n = end
	}
	return n, nil
}

func (s *syslogSink) connect() (net.Conn, error) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	d := net.Dialer{Timeout: syslogDialTimeout}
	conn, err := d.DialContext(s.ctx, s.network, s.addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		conn.Close()
		return nil, context.Canceled
	}
	s.conn = conn
	return conn, nil
}

func (s *syslogSink) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// stamp makes the head of a message, once a second.
func (s *syslogSink) stamp() {
	t := time.Now()
	if s.head != nil && t.Unix() == s.unix {
		return
	}
	s.unix = t.Unix()
	s.head = fmt.Appendf(s.head[:0], "<%d>%s %sgatehouse[%d]: ", syslogPriority, t.Format(time.Stamp), s.host, os.Getpid())
}

func (s *syslogSink) Close() error {
	s.cancel()
	s.disconnect()
	return nil
}

func (s *syslogSink) interrupt() bool {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.conn != nil {
		s.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	return true
}
