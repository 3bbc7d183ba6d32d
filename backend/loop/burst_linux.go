package loop

import (
	"syscall"
	"time"
)

// burstLeast is the piece that is still worth moving within the kernel: a smaller one is sooner copied.
const burstLeast = 32 << 10

// mostPipes is how many bursts a loop has under way. Each holds two descriptors and up to pipeSize of the kernel's memory, for as long as
// a slow receiver makes it wait; whoever finds none left copies, as with every small message.
const mostPipes = 16

// pipe is where bytes are between two sockets.
type pipe struct {
	in, out int // descriptors
	size    int
}

// SpliceBurst moves bytes from src to dst within the kernel, for as long as much is there at once, and returns how many. It waits for
// dst to take them, each time for d at most (0 or less: no limit), but not for src: what is left there, the end or an error too, the next
// read finds. Where that cannot be done, it moves nothing. It parks.
func SpliceBurst(dst, src *Conn, d time.Duration) (total int64, err error) {
	if dst.s != nil || src.s != nil || src.isAhead || dst.Queued() > 0 || dst.hold != nil || dst.shut {
		return 0, nil
	}
	l := src.l
	p, ok := l.takePipe()
	if !ok {
		return 0, nil
	}
	for src.readable && !src.closed && !dst.closed {
		n, e := syscall.Splice(src.fd, nil, p.in, nil, p.size, spliceFlags)
		if e == syscall.EAGAIN {
			src.readable = false
		}
		if e != nil || n == 0 {
			break
		}
		src.in += n
		for left := n; left > 0; {
			dst.SetWriteTimeout(d)
			m, err := dst.spliceFrom(p.out, left)
			if err != nil { // something is left in it
				p.close()
				l.pipesOut--
				return total, err
			}
			left -= m
			total += m
		}
		l.worked()
		if n < burstLeast {
			break
		}
	}
	l.putPipe(p)
	return total, nil
}

// pipes is the part of a loop that lends pipes.
type pipes struct {
	idle     []pipe
	pipesOut int // lent
}

// takePipe lends an empty pipe, if there is one left.
func (ps *pipes) takePipe() (pipe, bool) {
	if ps.pipesOut >= mostPipes {
		return pipe{}, false
	}
	if n := len(ps.idle); n > 0 {
		p := ps.idle[n-1]
		ps.idle = ps.idle[:n-1]
		ps.pipesOut++
		return p, true
	}
	var fd [2]int
	if syscall.Pipe2(fd[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC) != nil {
		return pipe{}, false // out of descriptors
	}
	p := pipe{in: fd[1], out: fd[0], size: 64 << 10}
	if n, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(p.in), fSetPipeSize, pipeSize); e == 0 {
		p.size = int(n)
	}
	ps.pipesOut++
	return p, true
}

// putPipe takes an empty pipe back.
func (ps *pipes) putPipe(p pipe) {
	ps.idle = append(ps.idle, p)
	ps.pipesOut--
}

func (ps *pipes) closePipes() {
	for _, p := range ps.idle {
		p.close()
	}
	ps.idle = nil
}

func (p pipe) close() {
	syscall.Close(p.in)
	syscall.Close(p.out)
}
