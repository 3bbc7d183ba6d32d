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
