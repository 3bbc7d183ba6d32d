package frontend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// sink is where a log's lines go. One goroutine writes to it and closes it. Write takes whole lines, several at once, and
// may wait for as long as it likes; after an error it is called again with what it did not take.
type sink interface {
	io.WriteCloser
	// interrupt makes Write return with an error, now and later, and reports whether it can. From any goroutine.
	interrupt() bool
}

// output is what a log's output attribute says: a sink not yet opened.
type output struct {
	std     *os.File // stdout or stderr
	file    string   // path
	network string   // of a syslog server: "udp" or "unixgram"
	addr    string
}

// parseOutput reads "stdout", "stderr", a file path, "syslog:udp:HOST:PORT" and "syslog:/dev/log". Without a port, 514 is
// meant.
func parseOutput(s string) (output, error) {
	switch s {
	case "", "stdout":
		return output{std: os.Stdout}, nil
	case "stderr":
		return output{std: os.Stderr}, nil
	}
	where, ok := strings.CutPrefix(s, "syslog:")
	if !ok {
		return output{file: s}, nil
	}
	if filepath.IsAbs(where) {
		return output{network: "unixgram", addr: where}, nil
	}
	addr, ok := strings.CutPrefix(where, "udp:")
	if !ok || addr == "" {
		return output{}, fmt.Errorf(`output %q: a syslog server is written "syslog:udp:HOST:PORT" or "syslog:/dev/log"`, s)
	}
	if host, port, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "514")
	} else if host == "" || port == "" {
		return output{}, fmt.Errorf("output %q: a syslog server has a host and a port", s)
	}
	return output{network: "udp", addr: addr}, nil
}

// open opens the sink. For a syslog server it does not connect yet.
func (o output) open() (sink, error) {
	switch {
	case o.std != nil:
		return &fileSink{o.std, true}, nil
	case o.network != "":
		return newSyslogSink(o.network, o.addr), nil
	}
	// O_NONBLOCK matters for named pipes alone: without a reader they are an error and not a wait, and a write that waits for
	// one can be interrupted.
	const mode = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	f, err := os.OpenFile(o.file, mode|syscall.O_NOFOLLOW, 0o640)
	if errors.Is(err, syscall.ELOOP) {
		if by, foreign := foreignLink(o.file); foreign {
			return nil, fmt.Errorf("%s is a link made by user %d, which root does not follow", o.file, by)
		}
		f, err = os.OpenFile(o.file, mode, 0o640)
	}
	if err != nil {
		return nil, err
	}
	return &fileSink{f, false}, nil
}

// foreignLink reports whether this is root and a link was made by somebody else, and by whom. Logs are opened before root's rights are given up,
// often in a directory of the user's that serves then: such a link would let that user have lines, of which clients choose the
// words, written to any file of the system.
func foreignLink(path string) (by uint32, foreign bool) {
	if os.Geteuid() != 0 {
		return 0, false
	}
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid, s.Uid != 0
	}
	return 0, false
}

// fileSink is a file, a pipe, a terminal.
type fileSink struct {
	*os.File
	keep bool // not ours to close
}

func (s *fileSink) Close() error {
	if s.keep {
		return nil
	}
	return s.File.Close()
}

// interrupt works for what the poller watches: pipes, not regular files, and not stdout where it is in blocking mode,
// as it mostly is and, being shared with others, has to stay.
func (s *fileSink) interrupt() bool { return s.SetWriteDeadline(time.Unix(1, 0)) == nil }
