package loop

import "time"

// memory is what a loop without epoll sleeps on, and the connections that goroutines serve, which any loop may have.
type memory struct {
	bell    chan struct{} // nil: this loop has an epoll
	adapted map[*Conn]struct{}
}

func (m *memory) initMem() { m.bell = make(chan struct{}, 1) }

// waitMem sleeps until the bell, or until a timer may be due.
func (m *memory) waitMem(l *Loop, busy bool) {
	l.quiet = false
	switch ms := l.wheel.sleep(l.now); {
	case busy:
		select {
		case <-m.bell:
		default:
			l.quiet = true
		}
	case ms < 0:
		<-m.bell
	default:
		t := time.NewTimer(time.Duration(ms) * time.Millisecond)
		select {
		case <-m.bell:
		case <-t.C:
			l.quiet = true
		}
		t.Stop()
	}
	l.tick()
	l.runPosted()
}

func (m *memory) closeAdapted() {
	for c := range m.adapted {
		c.Close()
	}
}
