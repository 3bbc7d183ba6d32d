package backend

import (
	"sync/atomic"

	"gatehouse/backend/loop"
)

// server is a member of the pool at work. All loops share it.
type server struct {
	c     *Server
	place int // in the order of the configuration
	homes []*home

	addr   atomic.Pointer[loop.Addr] // literal, once a name is resolved
	active atomic.Int64              // exchanges under way
	gone   atomic.Bool               // the pool is closed: nothing is kept
	stats  ServerStats
}

func newServer(c *Server, place int, loops []*loop.Loop) *server {
	s := &server{c: c, place: place}
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
}
