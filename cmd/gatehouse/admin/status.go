package admin

import (
	"fmt"
	"strings"
	"time"
)

// Status is a running gatehouse at a moment.
type Status struct {
	Version       string    `json:"version"`
	PID           int       `json:"pid"`
	State         string    `json:"state"` // "serving" or "stopping"
	Started       time.Time `json:"started"`
	Now           time.Time `json:"now"`
	Configuration []string  `json:"configuration"` // files and directories, as they were named
	Generation    int       `json:"generation"`    // 1 at the start, one more with each reload that was done
	Since         time.Time `json:"since"`         // when this generation took over
	Reload        *Outcome  `json:"last_reload,omitempty"`

	Totals       Totals        `json:"totals"`
	Frontends    []Frontend    `json:"frontends"`
	Backends     []Backend     `json:"backends"`
	Caches       []Cache       `json:"caches,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Logs         []Log         `json:"logs,omitempty"`
	Troubles     []string      `json:"troubles,omitempty"` // what waits for a person, a sentence each
}

// Totals are over the whole process, since it started and over all its configurations.
type Totals struct {
	Connections    int    `json:"connections"`
	MaxConnections int    `json:"max_connections"`
	Reloads        uint64 `json:"reloads"`         // that were done
	ReloadsRefused uint64 `json:"reloads_refused"` // that were not
	Panics         uint64 `json:"panics"`          // exchanges lost to a fault of the program
}

// Frontend is a frontend at a moment. Counters begin when a frontend of that name first appears.
type Frontend struct {
	Name           string   `json:"name"`
	Addresses      []string `json:"addresses"`
	Connections    int      `json:"connections"`
	MaxConnections int      `json:"max_connections"` // 0: no limit of its own
	Accepted       uint64   `json:"accepted"`        // connections
	Refused        uint64   `json:"refused"`         // connections closed at once
	Monitored      uint64   `json:"monitored"`       // probes that monitor answered
	Requests       uint64   `json:"requests"`
	Active         int      `json:"active"` // exchanges under way
	Bad            uint64   `json:"bad"`    // requests that could not be read

	Compress *Compress `json:"compress,omitempty"` // nil: it compresses nothing
}

// Backend is a backend at a moment.
type Backend struct {
	Name         string   `json:"name"`
	Usable       bool     `json:"usable"` // a request without a cookie finds a server
	Requests     uint64   `json:"requests"`
	Active       int      `json:"active"`  // exchanges under way
	Waiting      int      `json:"waiting"` // for a free place on a server
	Retries      uint64   `json:"retries"`
	Redispatches uint64   `json:"redispatches"`
	Failed       uint64   `json:"failed"` // exchanges without an answer of a server
	Servers      []Server `json:"servers"`
}

// Server is a server at a moment.
type Server struct {
	Backend string `json:"backend"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Cookie  string `json:"cookie,omitempty"`
	Backup  bool   `json:"backup,omitempty"`

	State     string    `json:"state"`            // in words: all that follows, in one
	Health    string    `json:"health"`           // "up", "leaving", "failing", "down", "unknown" before the first check, "unchecked"
	Check     string    `json:"check,omitempty"`  // what the check said that decided
	Since     time.Time `json:"since"`            // of Health
	Operator  string    `json:"operator"`         // "ready", "drain" or "maint": the state that counts
	Weight    int       `json:"weight"`           // that counts
	Wishes    []string  `json:"wishes,omitempty"` // what of it is the operator's and not the configuration's
	Newcomers bool      `json:"newcomers"`        // requests without its cookie may come
	Holders   bool      `json:"holders"`          // requests with its cookie may come

	Share       int    `json:"share"`   // percent of its share that it gets: less than 100 while it warms up (slow_start)
	Active      int    `json:"active"`  // exchanges under way
	Waiting     int    `json:"waiting"` // holders of its cookie that wait for a free place
	Idle        int    `json:"idle"`    // connections kept for the next request
	Requests    uint64 `json:"requests"`
	Connections uint64 `json:"connections"` // made, as opposed to reused
	Refused     uint64 `json:"refused"`     // attempts to connect that failed
	Failed      uint64 `json:"failed"`      // exchanges in which the server failed
}

// Log is a log at a moment.
type Log struct {
	Name    string `json:"name"`
	Output  string `json:"output"`
	Dropped uint64 `json:"dropped"` // lines its output did not take
}

// Outcome is how a reload ended.
type Outcome struct {
	Done        bool      `json:"done"`
	Time        time.Time `json:"time"`
	Seconds     float64   `json:"seconds"`               // that it took
	Generation  int       `json:"generation"`            // that serves now
	Changes     []string  `json:"changes,omitempty"`     // from the old configuration to the new, in words
	Notes       []string  `json:"notes,omitempty"`       // what an operator might not expect
	Unwilling   string    `json:"unwilling,omitempty"`   // why it was refused without a look at the configuration
	Errors      int       `json:"errors"`                // in the diagnostics
	Warnings    int       `json:"warnings"`              // in the diagnostics
	Diagnostics string    `json:"diagnostics,omitempty"` // as "gatehouse validate" prints them
}

// Order is what an operator wants of a server.
type Order struct {
	Backend string  `json:"backend"`
	Server  string  `json:"server"`
	State   string  `json:"state,omitempty"`  // "ready", "drain" or "maint"; "" leaves it
	Weight  *Weight `json:"weight,omitempty"` // nil leaves it
}

// Weight is a weight an operator gives.
type Weight struct {
	N          int  `json:"n"`
	Configured bool `json:"configured,omitempty"` // back to that of the configuration
}

// Obeyed is how an order ended.
type Obeyed struct {
	Server Server   `json:"server"`
	Notes  []string `json:"notes,omitempty"`
}

// InWords says in a few words what a server takes at the moment, and why.
func (s *Server) InWords() string {
	const holders = "only holders of its cookie come"
	var words []string
	switch {
	case s.Operator == "maint":
		return "in maintenance"
	case s.Health == "down":
		words = append(words, "down")
	case s.Health == "unknown":
		words = append(words, "not checked yet")
	case s.Health == "failing", s.Health == "leaving":
		words = append(words, s.Health)
	case s.Operator != "drain":
		words = append(words, "up")
	}
	if s.Share > 0 && s.Share < 100 && s.Health == "up" {
		words = append(words, fmt.Sprintf("warming up at %d %%", s.Share))
	}
	if s.Operator == "drain" {
		words = append(words, "draining")
	} else if s.Weight == 0 {
		words = append(words, "weight 0")
	}
	text := strings.Join(words, ", ")
	if s.Holders && !s.Newcomers {
		text += ": " + holders
	}
	return text
}

// Server finds a server, nil when there is none of that name.
func (s *Status) Server(backend, name string) *Server {
	for i := range s.Backends {
		for j := range s.Backends[i].Servers {
			if v := &s.Backends[i].Servers[j]; v.Backend == backend && v.Name == name {
				return v
			}
		}
	}
	return nil
}
