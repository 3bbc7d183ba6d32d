package convert

import (
	"slices"
	"strings"
)

// An aclTest is one line of an acl, or a condition in braces.
type aclTest struct {
	d        *directive
	what     string // "path", "prefix", "host", "tls", "always", "never", "sni"; "" when it cannot be said here
	values   []string
	problem  string // why it cannot
	remark   string // what is different
	negative bool
}

// acl notes acl NAME CRITERION [FLAGS] VALUES…. Whether it is of use shows where it is used.
func (x *proxy) acl(d *directive) {
	if len(d.words) < 3 {
		d.refuse("it has no criterion")
		return
	}
	x.acls[d.arg(1)] = append(x.acls[d.arg(1)], readTest(d, d.args(2)))
	if d.Verdict == unjudged {
		d.fold("used by no rule that is converted")
	}
}

// readTest reads a criterion with its flags and values.
func readTest(d *directive, words []string) *aclTest {
	t := &aclTest{d: d}
	criterion := words[0]
	match := ""
	insensitive := false
	words = words[1:]
flags:
	for len(words) > 0 {
		switch words[0] {
		case "-i":
			insensitive = true
		case "-m":
			if len(words) > 1 {
				match = words[1]
				words = words[1:]
			}
		case "-n":
		case "-f", "-M", "-u":
			t.problem = "values from files"
			break flags
		case "--":
			words = words[1:]
			break flags
		default:
			break flags
		}
		words = words[1:]
	}
	t.values = words
	name, arg, _ := strings.Cut(strings.TrimSuffix(criterion, ")"), "(")
	base, converters, _ := strings.Cut(strings.TrimPrefix(criterion, name), ",")
	if converters != "" {
		for c := range strings.SplitSeq(converters, ",") {
			if c != "lower" && c != "field(1,:)" && !strings.HasPrefix(c, "field(1") && c != ":)" {
				t.problem = "the condition " + criterion
				return t
			}
		}
		arg = strings.TrimSuffix(strings.TrimPrefix(base, "("), ")")
	}
	if name, m := suffixMatch(name); m != "" {
		t.set(name, m, arg, insensitive, criterion)
	} else {
		t.set(name, match, arg, insensitive, criterion)
	}
	return t
}

// suffixMatch parts path_beg into path and beg.
func suffixMatch(name string) (string, string) {
	for _, m := range []string{"beg", "end", "dom", "dir", "reg", "sub", "len", "ip", "cnt", "val", "str", "found", "bin"} {
		if base, ok := strings.CutSuffix(name, "_"+m); ok {
			return base, m
		}
	}
	return name, ""
}

// set finds out what a criterion is here.
func (t *aclTest) set(name, match, arg string, insensitive bool, criterion string) {
	field := strings.ToLower(arg)
	host := (name == "hdr" || name == "req.hdr" || name == "req.fhdr" || name == "hdr_dom") && field == "host" || name == "req.host"
	switch {
	case t.problem != "":
		return
	case (name == "path" || name == "url" || name == "req.path" || name == "capture.req.uri") && (match == "" || match == "str"):
		t.what = "path"
		if name == "url" {
			t.remark = "the path is compared, without its query"
		}
	case (name == "path" || name == "url" || name == "req.path") && match == "beg":
		t.what = "prefix"
	case (name == "path" || name == "req.path") && match == "reg":
		t.patterns(criterion, insensitive)
	case host && (match == "" || match == "str"):
		t.what = "host"
	case host && match == "end" && !slices.ContainsFunc(t.values, func(v string) bool { return !strings.HasPrefix(v, ".") }):
		t.what = "host"
		for i, v := range t.values {
			t.values[i] = "*" + v
		}
		t.remark = "names one level below are meant"
	case host && match == "dom":
		t.what = "host"
		var all []string
		for _, v := range t.values {
			all = append(all, v, "*."+v)
		}
		t.values = all
		t.remark = "the name and those one level below it are meant"
	case name == "ssl_fc" && match == "":
		t.what = "tls"
	case name == "req.proto_http" || name == "req_proto_http" || name == "always_true":
		t.what = "always"
	case name == "always_false":
		t.what = "never"
	case (name == "req_ssl_sni" || name == "req.ssl_sni" || name == "ssl_fc_sni") && (match == "" || match == "str"):
		t.what = "sni"
	case (name == "req_ssl_sni" || name == "req.ssl_sni" || name == "ssl_fc_sni") && match == "end" && len(t.values) == 1 && strings.HasPrefix(t.values[0], "."):
		t.what = "sni"
		t.values = []string{"*" + t.values[0]}
		t.remark = "names one level below are meant"
	case name == "req_ssl_hello_type" || name == "req.ssl_hello_type":
		t.what = "always" // what does not begin with a hello has no name to be routed by
	default:
		t.problem = "the condition " + criterion
	}
	if (t.what == "path" || t.what == "prefix") && insensitive {
		t.remark = "paths are compared with their case"
	}
	if (t.what == "path" || t.what == "prefix" || t.what == "host" || t.what == "sni") && len(t.values) == 0 {
		t.what, t.problem = "", "a condition without values"
	}
}

// patterns makes paths of patterns.
func (t *aclTest) patterns(criterion string, insensitive bool) {
	var all []string
	for _, v := range t.values {
		paths, loose, ok := pathsOf(v)
		if !ok || len(paths) == 0 {
			t.problem = "the condition " + criterion + " " + v
			return
		}
		if loose {
			t.remark = "a prefix ends at a slash here, which the pattern does not say"
		}
		all = append(all, paths...)
	}
	if insensitive && t.remark == "" {
		t.remark = "paths are compared with their case"
	}
	t.what, t.values = "path", all
}

// predefined are the acls HAProxy brings along that are of use here.
var predefined = map[string]string{"TRUE": "always", "FALSE": "never", "HTTP": "always", "METH_GET": "", "LOCALHOST": "", "REQ_CONTENT": ""}

// A match is which requests a rule is for: all that go to one of the hosts and one of the paths; no hosts are all.
type match struct {
	hosts, paths []string
	tls          *bool // over TLS, or not
	sni          []string
	never        bool
	used         []*directive // the acls behind it
	remarks      []string
}

// condition reads what stands behind if or unless: alternatives, each a conjunction. Problem says why it cannot be a match.
func (x *proxy) condition(d *directive, words []string) (list []*match, problem string) {
	if len(words) == 0 {
		return []*match{{}}, ""
	}
	unless := words[0] == "unless"
	if words[0] != "if" && !unless {
		return nil, "unknown word \"" + words[0] + "\""
	}
	var alternatives [][]*aclTest
	var groups []([][]*aclTest) // per term: its lines, any of which suffices
	negate := false
	words = words[1:]
	flush := func() string {
		list, problem := cross(groups)
		alternatives = append(alternatives, list...)
		groups = nil
		return problem
	}
	terms := 0
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word != "!" && strings.HasPrefix(word, "!") {
			negate, word = !negate, word[1:]
		}
		switch word {
		case "!":
			negate = !negate
			continue
		case "or", "||":
			if p := flush(); p != "" {
				return nil, p
			}
			continue
		case "and", "&&":
			continue
		}
		terms++
		var tests []*aclTest
		if word == "{" {
			end := slices.Index(words[i:], "}")
			if end < 2 {
				return nil, "a brace is not closed"
			}
			tests = []*aclTest{readTest(d, words[i+1:i+end])}
			i += end
		} else if lines := x.acls[word]; lines != nil {
			tests = lines
		} else if what, ok := predefined[word]; ok && what != "" {
			tests = []*aclTest{{d: d, what: what}}
		} else {
			return nil, "the condition " + word
		}
		if negate && len(tests) > 1 {
			return nil, "the opposite of several conditions"
		}
		var group [][]*aclTest
		for _, t := range tests {
			c := *t
			c.negative = negate
			group = append(group, []*aclTest{&c})
		}
		groups = append(groups, group)
		negate = false
	}
	if p := flush(); p != "" {
		return nil, p
	}
	if unless {
		if terms != 1 || len(alternatives) != 1 {
			return nil, "the opposite of several conditions"
		}
		alternatives[0][0].negative = !alternatives[0][0].negative
	}
	if len(alternatives) > maxAlternatives {
		return nil, "so many alternatives"
	}
	for _, terms := range alternatives {
		m, problem := conjunction(terms)
		if problem != "" {
			return nil, problem
		}
		if !m.never {
			list = append(list, m)
		}
	}
	return merge(list), ""
}

const maxAlternatives = 200

// cross makes every combination of one test of each group.
func cross(groups [][][]*aclTest) (list [][]*aclTest, problem string) {
	if len(groups) == 0 {
		return nil, ""
	}
	list = [][]*aclTest{nil}
	for _, g := range groups {
		var next [][]*aclTest
		for _, have := range list {
			for _, tests := range g {
				next = append(next, append(slices.Clone(have), tests...))
			}
		}
		if len(next) > maxAlternatives {
			return nil, "so many alternatives"
		}
		list = next
	}
	return list, ""
}

// conjunction unites tests that all must hold.
func conjunction(tests []*aclTest) (m *match, problem string) {
	m = &match{}
	for _, t := range tests {
		m.used = append(m.used, t.d)
		if t.remark != "" {
			m.remarks = append(m.remarks, t.remark)
		}
		switch {
		case t.problem != "":
			return nil, t.problem
		case t.what == "tls":
			want := !t.negative
			if m.tls != nil && *m.tls != want {
				m.never = true
			}
			m.tls = &want
		case t.what == "always" && !t.negative, t.what == "never" && t.negative:
		case t.what == "always", t.what == "never":
			m.never = true
		case t.negative:
			return nil, "the opposite of a condition"
		case t.what == "host" && m.hosts == nil:
			m.hosts = hostsOf(t.values)
		case t.what == "sni" && m.sni == nil:
			m.sni = hostsOf(t.values)
		case t.what == "path" && m.paths == nil:
			m.paths = slices.Clone(t.values)
		case t.what == "prefix" && m.paths == nil:
			for _, v := range t.values {
				m.paths = append(m.paths, prefixPaths(v)...)
				if !strings.HasSuffix(v, "/") {
					m.remarks = append(m.remarks, "a prefix ends at a slash here: "+v+"x is another path")
				}
			}
		default:
			return nil, "two conditions on one thing"
		}
	}
	return m, ""
}

// prefixPaths returns the paths that begin with prefix, as routes have them.
func prefixPaths(prefix string) []string {
	switch {
	case prefix == "/":
		return []string{"/*"}
	case strings.HasSuffix(prefix, "/"):
		return []string{prefix + "*"}
	}
	return []string{prefix, prefix + "/*"}
}

// hostsOf drops ports, which do not count here, and what is there twice.
func hostsOf(values []string) (list []string) {
	for _, v := range values {
		v = strings.ToLower(v)
		if host, port := splitPort(v); port != "" && strings.Trim(port, "0123456789") == "" && !strings.Contains(host, ":") {
			v = host
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// merge unites matches that differ in one thing only: their alternatives are one list then.
func merge(list []*match) (out []*match) {
	for _, m := range list {
		done := false
		for _, o := range out {
			sameTLS := m.tls == nil && o.tls == nil || m.tls != nil && o.tls != nil && *m.tls == *o.tls
			if !sameTLS || len(m.sni) > 0 != (len(o.sni) > 0) {
				continue
			}
			switch {
			case slices.Equal(m.hosts, o.hosts) && len(m.paths) > 0 && len(o.paths) > 0 && slices.Equal(m.sni, o.sni):
				o.paths = append(o.paths, m.paths...)
			case slices.Equal(m.paths, o.paths) && len(m.hosts) > 0 && len(o.hosts) > 0 && slices.Equal(m.sni, o.sni):
				o.hosts = append(o.hosts, m.hosts...)
			case slices.Equal(m.paths, o.paths) && slices.Equal(m.hosts, o.hosts) && len(m.sni) > 0:
				o.sni = append(o.sni, m.sni...)
			default:
				continue
			}
			o.used = append(o.used, m.used...)
			o.remarks = append(o.remarks, m.remarks...)
			done = true
			break
		}
		if !done {
			out = append(out, m)
		}
	}
	for _, m := range out {
		m.hosts, m.paths, m.sni = distinct(m.hosts), distinct(m.paths), distinct(m.sni)
	}
	return out
}

func distinct(list []string) (out []string) {
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// use tells the acls behind a match, and the rule itself, what became of them.
func (m *match) use(d *directive) {
	for _, a := range m.used {
		if a != d {
			a.keep("in the routes that use it")
		}
	}
	for _, r := range m.remarks {
		d.note("%s", r)
	}
}
