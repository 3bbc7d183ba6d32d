package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A site is what a pile of configurations amounts to, in gatehouse's words. Names and values are as the new configuration will
// have them; what is zero is not written.
type site struct {
	global global
	admin  admin
	logs   []*logTo
	tlss   []*tlsSet
	fronts []*front
	backs  []*back
	items  []any // the fronts and backs, in the order they are written

	head []*comment // at the top of the file
	all  []*comment // of all inputs
}

// A node is what every part of a site has: where its attributes come from, and what was said about them. The attribute "" is
// the block itself.
type node struct {
	from  map[string][]*directive
	said  map[string][]*comment
	parts map[string]*node
}

// part returns the node of an inner block that is made of one attribute's directives, always the same.
func (n *node) part(attr string) *node {
	p := n.parts[attr]
	if p == nil {
		p = &node{from: map[string][]*directive{"": n.from[attr]}, said: map[string][]*comment{"": n.said[attr]}}
		if n.parts == nil {
			n.parts = map[string]*node{}
		}
		n.parts[attr] = p
	}
	return p
}

// take notes that an attribute comes from a directive, and moves the directive's comments there.
func (n *node) take(attr string, d *directive) {
	if d == nil {
		return
	}
	if n.from == nil {
		n.from = map[string][]*directive{}
	}
	for _, have := range n.from[attr] {
		if have == d {
			return
		}
	}
	n.from[attr] = append(n.from[attr], d)
	n.say(attr, d)
}

// say moves the comments of a directive to an attribute.
func (n *node) say(attr string, d *directive) {
	if len(d.comments) == 0 {
		return
	}
	if n.said == nil {
		n.said = map[string][]*comment{}
	}
	n.said[attr] = append(n.said[attr], d.comments...)
	d.comments = nil
}

// origin returns the directives behind an attribute, or else behind its block.
func (n *node) origin(attr string) []*directive {
	if list := n.from[attr]; len(list) > 0 {
		return list
	}
	return n.from[""]
}

// adopt moves all that is known of o to n.
func (n *node) adopt(o *node) {
	for attr, list := range o.from {
		if n.from == nil {
			n.from = map[string][]*directive{}
		}
		n.from[attr] = append(n.from[attr], list...)
	}
	for attr, list := range o.said {
		if n.said == nil {
			n.said = map[string][]*comment{}
		}
		n.said[attr] = append(n.said[attr], list...)
	}
	o.from, o.said = nil, nil
}

type global struct {
	node
	maxConn     int
	grace       *time.Duration
	pidFile     string
	user, group string
}

type admin struct {
	node
	socket, listen string
}

type logTo struct {
	node
	name   string
	format string
	output string
	empty  bool
}

type tlsSet struct {
	node
	name       string
	cert, key  string
	minVersion string
	strictSNI  bool
	clientCA   string // certificates of clients are asked for, and these authorities issue them
	clientMode string
	crl        string
	hsts       string
}

type front struct {
	node
	name           string
	tcp            bool
	listen         bool // one block with its back, as the old configuration had it
	binds          []*bind
	hosts          []string
	back           *back
	log            *logTo
	maxConn        int
	grace          time.Duration
	monitorSources []string
	monitorURI     string
	body           string // limit of a request's content
	routes         []*route
	timeouts       timeouts
	joint          *timeouts // of a listen block: those of its halves
	parent         *front    // the one it was split from, which goes by where others are meant
}

type bind struct {
	node
	addr        string
	tls         *tlsSet
	redirect    bool
	acceptProxy []string
	freebind    bool
}

type route struct {
	node
	paths, hosts []string
	back         *back
	redirect     string
	respond      int
}

type back struct {
	node
	name         string
	tcp          bool
	balance      string
	cookie       *cookie
	forwardfor   *forwardfor
	checks       []*check
	redispatch   *bool
	retries      *int
	allBackups   bool
	maxQueue     int
	fullConn     int
	abortOnClose *bool
	httpClose    bool
	unneeded     []*directive // what tells the next program who the client is
	forwarded    bool         // servers have been told the client's address before
	timeouts     timeouts
	servers      []*server
}

type server struct {
	node
	name      string
	addr      string
	cookie    string
	weight    *int
	backup    bool
	maxConn   int
	minConn   int
	slowStart time.Duration
	source    string
	sendProxy string
	tls       *serverTLS
	checks    []*check
	state     string
}

type serverTLS struct {
	node
	ca         string
	serverName string
	verify     *bool
	cert, key  string
}

type cookie struct {
	node
	name, mode         string
	indirect           *bool
	nocache            *bool
	postonly, preserve bool
	domain             []string
	secure             *bool
	sameSite           string
	maxIdle, maxLife   time.Duration
}

type forwardfor struct {
	node
	enabled *bool
	except  []string
	trusted []string
	header  string
}

type check struct {
	node
	kind       string
	request    string
	host       string
	expect     []string
	interval   time.Duration
	timeout    time.Duration
	rise, fall int
	port       int
	address    string
	onFail     string
	override   bool // it stands in a server and changes the check of the backend: defaults are written too
}

// timeouts are durations by their attribute; 0 is no limit.
type timeouts struct {
	node
	of map[string]time.Duration
}

func (t *timeouts) set(name string, v time.Duration, d *directive) {
	if t.of == nil {
		t.of = map[string]time.Duration{}
	}
	t.of[name] = v
	t.take(name, d)
}

// addFront adds a frontend under a name of its own.
func (s *site) addFront(f *front) *front {
	f.name = unique(f.name, func(name string) bool { return s.front(name) != nil })
	s.fronts = append(s.fronts, f)
	s.items = append(s.items, f)
	return f
}

// addBack adds a backend under a name of its own.
func (s *site) addBack(b *back) *back {
	b.name = unique(b.name, func(name string) bool { return s.back(name) != nil })
	s.backs = append(s.backs, b)
	s.items = append(s.items, b)
	return b
}

func (s *site) front(name string) *front {
	for _, f := range s.fronts {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (s *site) back(name string) *back {
	for _, b := range s.backs {
		if b.name == name {
			return b
		}
	}
	return nil
}

// log returns the log that writes that format there, a new one if there is none.
func (s *site) log(name, format, output string, empty bool) *logTo {
	for _, l := range s.logs {
		if l.format == format && l.output == output && l.empty == empty {
			return l
		}
	}
	l := &logTo{format: format, output: output, empty: empty}
	l.name = unique(name, func(name string) bool {
		for _, l := range s.logs {
			if l.name == name {
				return true
			}
		}
		return false
	})
	s.logs = append(s.logs, l)
	return l
}

// tls returns the set like t, which is added if there is none.
func (s *site) tls(t *tlsSet) *tlsSet {
	for _, o := range s.tlss {
		if o.cert == t.cert && o.key == t.key && o.minVersion == t.minVersion && o.strictSNI == t.strictSNI &&
			o.clientCA == t.clientCA && o.clientMode == t.clientMode && o.crl == t.crl && o.hsts == t.hsts {
			o.adopt(&t.node)
			return o
		}
	}
	t.name = unique(t.name, func(name string) bool {
		for _, o := range s.tlss {
			if o.name == name {
				return true
			}
		}
		return false
	})
	s.tlss = append(s.tlss, t)
	return t
}

// unique returns name, or name with the first number behind it that is not taken.
func unique(name string, taken func(string) bool) string {
	if name == "" {
		name = "site"
	}
	if !taken(name) {
		return name
	}
	for n := 2; ; n++ {
		if other := fmt.Sprintf("%s-%d", name, n); !taken(other) {
			return other
		}
	}
}

// nameOfFile makes a name of a path: "/etc/ssl/site.pem" is "site".
func nameOfFile(path string) string {
	name := strings.TrimRight(path, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if name == "fullchain.pem" { // certbot's: the folder has the name
		if dir := strings.TrimSuffix(path, "/fullchain.pem"); dir != path {
			name = dir[strings.LastIndexByte(dir, '/')+1:]
		}
	}
	for _, suffix := range []string{".pem", ".crt", ".cert", ".cer", ".bundle", "_chained", ".key"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return identifier(name, "site")
}

// identifier makes a name that a reference can spell without brackets, or returns other if nothing of it is left.
func identifier(name, other string) string {
	var b strings.Builder
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			b.WriteRune(c)
		case c >= '0' && c <= '9', c == '-':
			if b.Len() == 0 {
				b.WriteString(other + "-")
			}
			if c != '-' || b.Len() > len(other)+1 || !strings.HasPrefix(b.String(), other+"-") {
				b.WriteRune(c)
			}
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	if s := strings.TrimRight(b.String(), "-"); s != "" {
		return s
	}
	return other
}

// remove takes a front out.
func (s *site) remove(f *front) {
	s.fronts = slices.DeleteFunc(s.fronts, func(o *front) bool { return o == f })
	s.items = slices.DeleteFunc(s.items, func(o any) bool { return o == any(f) })
}

// removeBack takes a back out, and all that leads to it.
func (s *site) removeBack(b *back) {
	s.backs = slices.DeleteFunc(s.backs, func(o *back) bool { return o == b })
	s.items = slices.DeleteFunc(s.items, func(o any) bool { return o == any(b) })
	for _, f := range s.fronts {
		if f.back == b {
			f.back = nil
			for _, d := range f.from["backend"] {
				d.refuse("backend %q is left out", b.name)
			}
		}
		f.routes = slices.DeleteFunc(f.routes, func(r *route) bool {
			if r.back != b {
				return false
			}
			for _, d := range r.from[""] {
				d.refuse("backend %q is left out", b.name)
			}
			return true
		})
	}
}

// leadsTo returns the backs that requests of a front reach.
func (f *front) leadsTo() (list []*back) {
	if f.back != nil {
		list = append(list, f.back)
	}
	for _, r := range f.routes {
		if r.back != nil && !slices.Contains(list, r.back) {
			list = append(list, r.back)
		}
	}
	return list
}
