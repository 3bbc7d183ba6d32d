package convert

import (
	"slices"
	"strings"
)

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
