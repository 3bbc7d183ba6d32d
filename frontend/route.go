package frontend

import (
	"bytes"
	"strings"
)

// router finds the route of a request. It is built once and then only read, by all loops.
type router struct {
	routes []rule
	hosts  bool    // a route asks for the host
	paths  bool    // a route asks for the path
	open   reading // the liberties that make a difference in the routes' own paths
}

// rule is one route, ready to be matched.
type rule struct {
	hosts *hostSet // nil: every host
	paths []pathRule
}

// pathRule is one path of a route, as each reading has it (see path.go).
type pathRule struct {
	text  [readings]string
	below bool // everything that begins so, not this path alone
}

func newRouter(routes []*Route) *router {
	r := &router{routes: make([]rule, len(routes))}
	for i, rt := range routes {
		if len(rt.Hosts) > 0 {
			r.routes[i].hosts = newHostSet(rt.Hosts)
			r.hosts = true
		}
		for _, p := range rt.Paths {
			r.routes[i].paths = append(r.routes[i].paths, newPathRule(p))
			r.open |= lookAtPath([]byte(p)).open
			r.paths = true
		}
	}
	return r
}

func newPathRule(p string) (pr pathRule) {
	if pr.below = strings.HasSuffix(p, "/*"); pr.below {
		p = p[:len(p)-1]
	}
	for rd := range readings {
		pr.text[rd] = string(appendPath(nil, []byte(p), rd))
	}
	return pr
}

// noRoute is the place match returns when no route takes a request.
const noRoute = -1

// match returns the place of the first route, in the order of the configuration, that takes a request for that host and
// target, or noRoute. "/exact" takes that path alone; "/prefix/*" takes every path that begins with "/prefix/", and so not
// "/prefix" itself; "/*" takes every path. "*", the target of OPTIONS, is only taken by routes without paths. It is not ok,
// and the answer is 400, when the path holds an encoded NUL or servers may read it in ways that lead to different
// routes (see path.go).
//
// A plain path costs no allocation, another one none up to 512 bytes.
func (r *router) match(host, target []byte) (place int, ok bool) {
	// At a NUL many a server ends the path.
	if hasNUL(target) {
		return noRoute, false
	}
	var name []byte
	if r.hosts {
		var space [longestHost]byte
		name = foldHost(space[:0], host)
	}
	if !r.paths {
		return r.find(name, nil, 0), true
	}
	f := lookAtPath(target)
	open := f.open | r.open
	if open == 0 && !f.twisted {
		return r.find(name, f.path, 0), true
	}
	var space, scratch [512]byte
	normal := appendPath(space[:0], f.path, 0)
	place = r.find(name, normal, 0)
	again := !bytes.Equal(normal, f.path)
	for rd := open; rd != 0; rd = (rd - 1) & open { // every set of open liberties
		if r.find(name, appendPath(scratch[:0], f.path, rd), rd) != place {
			return noRoute, false
		}
		// They may be taken a step later too, by an application behind a server that has already removed the dots.
		if again && r.find(name, appendPath(scratch[:0], normal, rd), rd) != place {
			return noRoute, false
		}
	}
	return place, true
}

// find returns the place of the first route that takes a folded host and a path in that reading.
func (r *router) find(name, path []byte, rd reading) int {
	for i := range r.routes {
		if r.routes[i].takes(name, path, rd) {
			return i
		}
	}
	return noRoute
}

func (r *rule) takes(name, path []byte, rd reading) bool {
	if r.hosts != nil && r.hosts.matchFolded(name) == hostNone {
		return false
	}
	for i := range r.paths {
		p := &r.paths[i]
		want := p.text[rd]
		if string(path) == want || p.below && len(path) > len(want) && string(path[:len(want)]) == want {
			return true
		}
	}
	return len(r.paths) == 0
}
