package convert

import (
	"time"
)

// A site is what a pile of configurations amounts to, in gatehouse's words. Names and values are as the new configuration will
// have them; what is zero is not written.
type site struct {
	global global
	admin  admin
	logs   []*logTo
	tlss   []*tlsSet
	caches []*cacheSet
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

	acme          *acmeSet // certificates are got by itself, for hosts
	hosts         []string
	clientHeaders map[string]string // fields that tell servers of the client's certificate: what, and the name
}

type cacheSet struct {
	node
	name      string
	memory    string
	maxObject string
	bypass    []string // paths it keeps out of
	rules     []*cacheRule
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
	cache          *cacheSet
	maxConn        int
	grace          time.Duration
	monitorSources []string
	monitorURI     string
	body           string // limit of a request's content
	routes         []*route
	request        *fieldRules
	response       *fieldRules
	compress       *compressSet
	timeouts       timeouts
	joint          *timeouts // of a listen block: those of its halves
	parent         *front    // the one it was split from, which goes by where others are meant
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
	request      *fieldRules
	response     *fieldRules
	timeouts     timeouts
	servers      []*server
}

type bind struct {
	node
	addr        string
	tls         *tlsSet
	redirect    bool
	acceptProxy []string
	freebind    bool
	protocols   []string // versions of HTTP
	http3       bool
}

type route struct {
	node
	paths, hosts []string
	back         *back
	redirect     string
	respond      int
	uncached     bool // the front's cache is not for it
	plain        bool // nor is what it compresses
	request      *fieldRules
	response     *fieldRules
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
	protocol  string
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
	drainOn    []string
	expectText string
	send       string
	interval   time.Duration
	fast, down time.Duration
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
