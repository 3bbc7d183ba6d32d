package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Descriptor is a listening socket on its way to another process.
type Descriptor struct {
	Address string // what the other process knows it by
	File    *os.File
}

// Handover is what one process gives another that takes over from it.
type Handover struct {
	Descriptors []Descriptor
	// Secrets are what clients are known by again, by name. One who cannot use them gets none.
	Secrets map[string][]byte
	// Stop is closed when there is nothing to hand over any more.
	Stop <-chan struct{}
	// Yield is called when the other process serves, before it is told that this one leaves. nil: nothing is to be done.
	Yield func()
}

// handTime bounds a takeover: the other process has to be ready by then.
const handTime = time.Minute

// What is said in a takeover, a line each. The running process tells its number behind its descriptors, each of which comes with
// the line of its address, and its secrets, if the other has asked for them. Then the other process says that it serves, and is told that this
// one leaves. Lines that a process does not know are for another version.
const (
	lineDescriptor = "descriptor "
	lineSecret     = "secret " // in hexadecimal, then the name
	lineProcess    = "process "
	lineServing    = "serving"
	lineLeaving    = "leaving"
	takeoverHead   = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: gatehouse-takeover\r\n\r\n"
	maxTakeover    = 1 << 20
	// wantsSecrets is the field of a request by a process that understands secrets.
	wantsSecrets = "Gatehouse-Secrets"
)

// handOver answers a process that wants to take over.
func (p Process) handOver(w http.ResponseWriter, r *http.Request) {
	if p.HandOver == nil {
		refuse(w, http.StatusNotFound, errors.New("nothing is handed over here"))
		return
	}
	hijacked := false
	err := p.HandOver(func(h *Handover) error {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		hijacked = true
		defer nc.Close()
		c, ok := nc.(*net.UnixConn)
		if !ok {
			return errors.New("descriptors go over unix sockets alone")
		}
		c.SetDeadline(time.Now().Add(handTime))
		over := make(chan struct{})
		defer close(over)
		go func() {
			select {
			case <-h.Stop:
				c.SetDeadline(time.Now())
			case <-over:
			}
		}()
		if r.Header.Get(wantsSecrets) == "" {
			h.Secrets = nil
		}
		return hand(c, h)
	})
	if err != nil && !hijacked {
		refuse(w, http.StatusConflict, err)
	}
}

// hand gives everything away and waits until the other process serves.
func hand(c *net.UnixConn, h *Handover) error {
	if _, err := io.WriteString(c, takeoverHead); err != nil {
		return err
	}
	for _, d := range h.Descriptors {
		if strings.Contains(d.Address, "\n") {
			return fmt.Errorf("%q: an address of two lines cannot be handed over", d.Address)
		}
		// Not by Fd, which may make the socket a blocking one, for this process too, which serves on for now.
		raw, err := d.File.SyscallConn()
		if err != nil {
			return err
		}
		var fault error
		if err := raw.Control(func(fd uintptr) {
			_, _, fault = c.WriteMsgUnix([]byte(lineDescriptor+d.Address+"\n"), syscall.UnixRights(int(fd)), nil)
		}); err != nil {
			return err
		}
		if fault != nil {
			return fault
		}
	}
	for name, secret := range h.Secrets {
		if _, err := fmt.Fprintf(c, "%s%x %s\n", lineSecret, secret, name); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(c, "%s%d\n", lineProcess, os.Getpid()); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the process that was to take over has given up")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the process that was to take over was not ready in time")
	case err != nil:
		return err
	case line != lineServing+"\n":
		return fmt.Errorf("the process that was to take over says %q", line)
	}
	if h.Yield != nil {
		h.Yield()
	}
	io.WriteString(c, lineLeaving+"\n") // it serves, whether it hears this or not
	return nil
}

// Takeover is what a process has been handed by the one that serves, which serves on until Done. Close it.
type Takeover struct {
	PID         int            // of the process that serves
	Descriptors map[string]int // of listening sockets, by address. Whoever uses one takes it out
	Secrets     map[string][]byte
	path        string
	c           *net.UnixConn
}

// TakeOver asks the gatehouse behind a socket for all that listens there. The error is ErrNotRunning when nobody is there to ask.
func TakeOver(ctx context.Context, path string) (*Takeover, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	t := &Takeover{Descriptors: map[string]int{}, path: path, c: nc.(*net.UnixConn)}
	t.c.SetDeadline(time.Now().Add(handTime))
	if _, err = io.WriteString(t.c, "POST /takeover HTTP/1.1\r\nHost: gatehouse\r\nConnection: Upgrade\r\nUpgrade: gatehouse-takeover\r\n"+wantsSecrets+": 1\r\nContent-Length: 0\r\n\r\n"); err == nil {
		err = t.receive()
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("%s: takeover: %w", path, err)
	}
	return t, nil
}

// receive reads until the last line of the running process. Descriptors come in the order of their lines.
func (t *Takeover) receive() error {
	var text []byte
	var fds []int
	room, rights := make([]byte, 4<<10), make([]byte, syscall.CmsgSpace(16*4))
	defer func() {
		for _, fd := range fds { // those nobody has a name for
			syscall.Close(fd)
		}
	}()
	for {
		n, m, flags, _, err := t.c.ReadMsgUnix(room, rights)
		if err != nil {
			return err
		}
		got, err := rightsIn(rights[:m])
		fds = append(fds, got...)
		switch text = append(text, room[:n]...); {
		case err != nil:
			return err
		case flags&syscall.MSG_CTRUNC != 0:
			return errors.New("more descriptors than this process may have: raise its limit (ulimit -n)")
		case n == 0:
			return io.ErrUnexpectedEOF
		case len(text) > maxTakeover:
			return errors.New("the answer has no end")
		}
		said, whole, err := parseTakeover(text)
		switch {
		case errors.Is(err, errNoTakeover):
			return refused(text, t.c)
		case err != nil:
			return err
		case !whole:
			continue
		case len(fds) < len(said.addresses):
			return fmt.Errorf("%q comes without a descriptor", said.addresses[len(fds)])
		}
		for i, address := range said.addresses {
			if was, twice := t.Descriptors[address]; twice {
				syscall.Close(was)
			}
			t.Descriptors[address] = fds[i]
		}
		fds = fds[len(said.addresses):]
		t.PID, t.Secrets = said.pid, said.secrets
		return nil
	}
}

// handed is what the running process says.
type handed struct {
	addresses []string // of descriptors, in their order
	secrets   map[string][]byte
	pid       int
}

var errNoTakeover = errors.New("not the beginning of a takeover")

// parseTakeover reads what the running process says, as far as it has come. It is whole when its last line is there, behind which nothing may
// follow. The error is errNoTakeover when it is an answer of another kind.
func parseTakeover(text []byte) (h handed, whole bool, err error) {
	body, ok := bytes.CutPrefix(text, []byte(takeoverHead))
	if !ok {
		if bytes.HasPrefix([]byte(takeoverHead), text) {
			return h, false, nil
		}
		return h, false, errNoTakeover
	}
	for line := range strings.Lines(string(body)) {
		line, ended := strings.CutSuffix(line, "\n")
		switch {
		case whole:
			return h, false, fmt.Errorf("%.40q comes after the end", line)
		case !ended:
		case strings.HasPrefix(line, lineDescriptor):
			h.addresses = append(h.addresses, line[len(lineDescriptor):])
		case strings.HasPrefix(line, lineSecret):
			digits, name, ok := strings.Cut(line[len(lineSecret):], " ")
			secret, err := hex.DecodeString(digits)
			if !ok || err != nil {
				return h, false, errors.New("a secret that is none")
			}
			if h.secrets == nil {
				h.secrets = map[string][]byte{}
			}
			h.secrets[name] = secret
		case strings.HasPrefix(line, lineProcess):
			if h.pid, err = strconv.Atoi(line[len(lineProcess):]); err != nil || h.pid <= 0 {
				return h, false, fmt.Errorf("%.40q names no process", line)
			}
			whole = true
		}
	}
	return h, whole, nil
}

// rightsIn returns the descriptors in a control message.
func rightsIn(b []byte) (fds []int, err error) {
	messages, err := syscall.ParseSocketControlMessage(b)
	for _, m := range messages {
		got, e := syscall.ParseUnixRights(&m)
		fds, err = append(fds, got...), errors.Join(err, e)
	}
	return fds, err
}

// refused returns what an answer says that is none of a takeover.
func refused(begun []byte, rest io.Reader) error {
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(begun), rest)), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return refusalIn(resp)
}

// Done tells the process that served until now that this one does: it leaves, and hands back when it has begun to. What was not used is closed.
func (t *Takeover) Done() error {
	defer t.Close()
	_, err := io.WriteString(t.c, lineServing+"\n")
	var line string
	if err == nil {
		line, err = bufio.NewReader(t.c).ReadString('\n')
	}
	if err == nil && line != lineLeaving+"\n" {
		err = fmt.Errorf("it says %q", line)
	}
	if err != nil {
		return fmt.Errorf("%s: process %d does not leave: %w", t.path, t.PID, err)
	}
	return nil
}

// Close gives the takeover up, unless it is done: the other process serves on.
func (t *Takeover) Close() {
	for address, fd := range t.Descriptors {
		syscall.Close(fd)
		delete(t.Descriptors, address)
	}
	t.c.Close()
}
