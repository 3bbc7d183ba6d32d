package backend

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"

	"gatehouse/backend/loop"
)

// server is a member of the pool at work. All loops share it.
type server struct {
	*books
	c     *Server
	place int // in the order of the configuration
	homes []*home
	tls   atomic.Pointer[tls.Config] // towards it; nil in the clear
	watch *tlsWatch                  // of the files of it; nil where there are none

	addr  atomic.Pointer[loop.Addr] // literal, once a name is resolved
	cold  atomic.Int32              // tenths of its share it does not get yet
	hasty atomic.Int64              // until when, in Unix milliseconds, only repeatable requests go on connections that were used before
	gone  atomic.Bool               // no idle connection is kept: the pool is closed, or the server in maintenance

	// What follows is guarded by Pool.mu.
	will  Will
	why   string    // the verdict of the checks that made its health what it is
	since time.Time // when that was
	up    time.Time // with slow_start: when it came up, until it gets its full share
}

// books are what is counted of a server. A reload hands them on to the pool that follows, so exchanges that are still under way in the
// old one count in both.
type books struct {
	active atomic.Int64 // exchanges under way
	stats  ServerStats
}

func newServer(c *Server, place int, loops []*loop.Loop) *server {
	s := &server{books: &books{}, c: c, place: place, since: time.Now()}
	for _, l := range loops {
		for len(s.homes) <= l.ID {
			s.homes = append(s.homes, nil)
		}
		s.homes[l.ID] = &home{srv: s}
	}
	a := c.Address
	s.addr.Store(&a)
	return s
}

// address returns where the server is at the moment.
func (s *server) address() loop.Addr { return *s.addr.Load() }

// value returns the value of the persistence cookie that names the server.
func (s *server) value() string {
	if s.c.Cookie != "" {
		return s.c.Cookie
	}
	return s.c.Name
}

// closeIdle closes the idle connections of a loop. On that loop.
func (s *server) closeIdle(l *loop.Loop) {
	h := s.homes[l.ID]
	for c := h.idle; c != nil; c = h.idle {
		h.remove(c)
		c.Close()
	}
	for _, k := range slices.Clone(h.links) {
		k.retire()
	}
}
