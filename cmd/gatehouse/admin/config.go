// Package admin is how a running gatehouse is looked at and told what to do: a socket for the command's own verbs, and a page with
// metrics for everybody else. It knows nothing of what it shows: the house fills in a Status and obeys an Order.
//
//	s, err := admin.OpenSocket("/run/gatehouse/admin.sock", process, log)
//	defer s.Close()
//	...
//	c := admin.Dial("/run/gatehouse/admin.sock")
//	status, err := c.Status(ctx)
package admin

import (
	"fmt"

	"gatehouse/backend/loop"
)

// Config is the block "admin": without it, a running gatehouse is told what to do by signals alone.
type Config struct {
	// Socket is the unix socket that "gatehouse status", "gatehouse reload" and "gatehouse server" talk to. Who may open it may do
	// all that they do; it belongs to the user who runs gatehouse, and nobody else may. Its directory is made if need be, the
	// file removed at the end.
	Socket string `hcl:"socket,optional" default:"/run/gatehouse/admin.sock" path:"true"`

	// Listen is the address of a page with the state of everything, and of /metrics for Prometheus. Both can only be read, by
	// everybody who reaches the address, so it is best one of this machine: "127.0.0.1:8404". Without it there is neither.
	Listen loop.Addr `hcl:"listen,optional"`
}

// maxSocket is the longest path a unix socket may have, without the NUL at its end (unix(7)), and less the name of the file it is made as.
const maxSocket = 107 - len(unborn)

// Check reports addresses that cannot be opened.
func (c *Config) Check(bad func(field any, problem, remedy string)) {
	if len(c.Socket) > maxSocket {
		bad(&c.Socket, fmt.Sprintf("the path has %d characters", len(c.Socket)), fmt.Sprintf("That of a socket may have %d.", maxSocket))
	}
	switch a := c.Listen; {
	case !a.Valid():
	case a.Path != "" || a.FD != "":
		bad(&c.Listen, fmt.Sprintf("%s is no IP address with a port", a), `Write listen = "127.0.0.1:8404". The socket is an attribute of its own.`)
	case a.Host != "":
		bad(&c.Listen, fmt.Sprintf("%s is a name", a), `Write the address it stands for, such as "127.0.0.1:8404".`)
	case a.Port() == 0:
		bad(&c.Listen, fmt.Sprintf("%s has no port", a), `Write listen = "127.0.0.1:8404".`)
	}
}

// Advise warns of a page that more people can read than probably should.
func (c *Config) Advise(warn func(field any, problem, remedy string)) {
	a := c.Listen
	literal := a.Valid() && a.Path == "" && a.FD == "" && a.Host == ""
	if literal && (!a.Addr().IsValid() || a.Addr().IsUnspecified()) {
		warn(&c.Listen, "the page is open to whoever reaches this machine", `It shows the addresses and the state of all servers. Name one address, such as "127.0.0.1:8404".`)
	}
}
