package admin

import (
	"bufio"
	"bytes"
	"context"
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

// handTime bounds a takeover: the other process has to be ready by then.
const handTime = time.Minute

// What is said in a takeover, a line each. The running process tells its number behind its descriptors, each of which comes with
// the line of its address. Then the other process says that it serves, and is told that this one leaves.
const (
	lineDescriptor = "descriptor "
	lineProcess    = "process "
	lineServing    = "serving"
	lineLeaving    = "leaving"
	takeoverHead   = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: gatehouse-takeover\r\n\r\n"
	maxTakeover    = 1 << 20
)

// handOver answers a process that wants to take over.
func (p Process) handOver(w http.ResponseWriter, r *http.Request) {
	if p.HandOver == nil {
		refuse(w, http.StatusNotFound, errors.New("nothing is handed over here"))
		return
	}
	hijacked := false
	err := p.HandOver(func(list []Descriptor, stop <-chan struct{}) error {
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
			case <-stop:
				c.SetDeadline(time.Now())
			case <-over:
			}
		}()
		return hand(c, list)
	})
	if err != nil && !hijacked {
		refuse(w, http.StatusConflict, err)
	}
}

// hand gives descriptors away and waits until the other process serves.
func hand(c *net.UnixConn, list []Descriptor) error {
	if _, err := io.WriteString(c, takeoverHead); err != nil {
		return err
	}
	for _, d := range list {
		if _, _, err := c.WriteMsgUnix([]byte(lineDescriptor+d.Address+"\n"), syscall.UnixRights(int(d.File.Fd())), nil); err != nil {
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
	io.WriteString(c, lineLeaving+"\n") // it serves, whether it hears this or not
	return nil
}

// Takeover is what a process has been handed by the one that serves, which serves on until Done. Close it.
type Takeover struct {
	PID         int            // of the process that serves
	Descriptors map[string]int // of listening sockets, by address. Whoever uses one takes it out
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
	if _, err = io.WriteString(t.c, "POST /takeover HTTP/1.1\r\nHost: gatehouse\r\nConnection: Upgrade\r\nUpgrade: gatehouse-takeover\r\nContent-Length: 0\r\n\r\n"); err == nil {
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
		body, ok := bytes.CutPrefix(text, []byte(takeoverHead))
		if !ok && !bytes.HasPrefix([]byte(takeoverHead), text) {
			return refused(text, t.c)
		}
		i := bytes.LastIndex(body, []byte(lineProcess))
		if !ok || i < 0 || i > 0 && body[i-1] != '\n' || body[len(body)-1] != '\n' {
			continue
		}
		if t.PID, err = strconv.Atoi(strings.TrimSpace(string(body[i+len(lineProcess):]))); err != nil {
			return err
		}
		for line := range strings.Lines(string(body[:i])) {
			address, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), lineDescriptor)
			if !ok || len(fds) == 0 {
				return fmt.Errorf("%q comes without a descriptor", line)
			}
			t.Descriptors[address] = fds[0]
			fds = fds[1:]
		}
		return nil
	}
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
