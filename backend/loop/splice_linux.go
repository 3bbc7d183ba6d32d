package loop

import (
	"io"
	"os"
	"syscall"
)

// pipeSize is what is asked for; the kernel may give less.
const pipeSize = 256 << 10

const fSetPipeSize = 1031 // F_SETPIPE_SZ

// Splice moves bytes from src to dst until src ends, within the kernel where both are sockets, and returns how many. It
// parks. Neither side is closed or shut down.
func Splice(dst, src *Conn) (int64, error) {
	if dst.s != nil || src.s != nil {
		return spliceCopy(dst, src)
	}
	if err := dst.Drain(); err != nil { // what is queued goes first
		return 0, err
	}
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		return spliceCopy(dst, src) // out of descriptors: slower, not broken
	}
	defer syscall.Close(p[0])
	defer syscall.Close(p[1])
	size := int64(64 << 10)
	if n, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(p[1]), fSetPipeSize, pipeSize); e == 0 {
		size = int64(n)
	}
	was := src.eager
	src.eager = false
	defer func() { src.eager = was }()
	var total int64
	if b, from, to := src.TakeAhead(); b != nil {
		n, err := dst.Write(b[from:to])
		src.l.PutBuf(b)
		if total = int64(n); err != nil {
			return total, err
		}
	}
	if src.isAhead { // by an error that the kernel has told already
		_, err := src.readAhead(nil)
		return total, err
	}
	for {
		n, err := src.spliceTo(p[1], size)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		for left := n; left > 0; {
			m, err := dst.spliceFrom(p[0], left)
			if err != nil {
				return total, err
			}
			left -= m
			total += m
		}
	}
}

const spliceFlags = 1 | 2 // SPLICE_F_MOVE | SPLICE_F_NONBLOCK

// spliceTo moves what the socket has into an empty pipe. It parks until there is something.
func (c *Conn) spliceTo(pipe int, size int64) (int64, error) {
	for {
		if err := c.WaitRead(); err != nil {
			return 0, err
		}
		n, err := syscall.Splice(c.fd, nil, pipe, nil, int(size), spliceFlags)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			c.in += n
			return n, nil
		case err == syscall.EAGAIN:
			c.readable = false
		case err != syscall.EINTR:
			return 0, os.NewSyscallError("splice", err)
		}
	}
}

// spliceFrom moves up to n bytes of the pipe into the socket. It parks until there is room.
func (c *Conn) spliceFrom(pipe int, n int64) (int64, error) {
	for {
		if err := c.waitWrite(); err != nil {
			return 0, err
		}
		m, err := syscall.Splice(pipe, nil, c.fd, nil, int(n), spliceFlags)
		switch {
		case err == nil:
			c.out += m
			return m, nil
		case err == syscall.EAGAIN:
			c.writable = false
		case err != syscall.EINTR:
			return 0, os.NewSyscallError("splice", err)
		}
	}
}
