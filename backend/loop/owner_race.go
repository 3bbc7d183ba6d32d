//go:build race

package loop

import (
	"bytes"
	"runtime"
)

// goid returns the number of the calling goroutine. It is slow: race builds only, to find waits from
// foreign goroutines.
func goid() string {
	var b [32]byte
	s := b[:runtime.Stack(b[:], false)]
	s = bytes.TrimPrefix(s, []byte("goroutine "))
	if i := bytes.IndexByte(s, ' '); i >= 0 {
		s = s[:i]
	}
	return string(s)
}

func (c *co) mine() bool { return c.id == goid() }

// check finds calls from outside the loop.
func (l *Loop) check() {
	want := l.owner
	if l.cur != nil {
		want = l.cur.id
	}
	if want != goid() {
		panic("loop: called from outside the loop; use Post")
	}
}
