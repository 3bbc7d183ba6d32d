package examples

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The flow language
//
// A flow is a play for one house (a gatehouse.hcl and its process), clients and the servers the configuration names. It is
// read from top to bottom; each line is one thing that somebody does, or that must happen.
//
//	# no cookie: load-balanced, cookie added in return     a step's name, printed when it fails
//	c1   > GET /URI1                                       client c1 sends a request
//	webA < GET /URI1                                       server webA receives it
//	         ! Cookie                                      … without a Cookie field
//	webA > 200                                             webA answers
//	         Cache-Control: max-age=60                     … with this field
//	c1   < 200                                             c1 gets the answer
//	         Set-Cookie: SERVERID=A; path=/                … with this field among others
//
// Servers are the names in the configuration. "*" is any server, "webA|webB" either of them, and "it" the one that
// received last ("$it" in a text is its name, "$it.cookie" its cookie value). Every other name is a client; it exists
// from its first line on. A line of requests and answers is
//
//	NAME > METHOD TARGET [HTTP/1.0]      and  NAME < METHOD TARGET [HTTP/1.0]
//	NAME > STATUS [REASON]               and  NAME < STATUS [REASON]
//	NAME >> "bytes"                      and  NAME << "bytes"        exactly these, with Go's escapes
//	SERVER >> "bytes" on /URI1           and  SERVER << "bytes" on /URI1   … on the connection that brought this target
//	NAME > EOF                           and  NAME < EOF             the end of what one side says
//	NAME < nothing                       nothing has come and, as things stand, nothing comes
//
// and "<" lines may end in "within 5s" (the patience, 10s where nothing is said) or in "after 5s" (that long after the
// last ">" line, give or take 5 %). A server answers the oldest request it received and did not answer yet. Below the
// line, indented, stand fields and content. What is sent:
//
//	Name: value          sent as it stands. Host and Content-Length are added
//	! Name               … unless they stand there, or stand there like this
//	| text               a line of content; lines are joined by a line feed
//
// What is received (names in any case, values exactly; the order does not matter):
//
//	Name: value          is among the fields
//	= Name: value        … and there is no other field of that name (several "=" lines: these, in this order)
//	~ Name: regexp       a field of that name matches
//	=~ Name: regexp      … and there is no other field of that name
//	! Name               there is no field of that name
//	!~ Name: regexp      no field of that name matches
//	| text               the content, whole
//
// Clients talk to the first address of the configuration, over one connection as long as it lives.
//
//	c1 from 10.1.2.3             its address, for the connections to come
//	c1 connect                   it opens a connection and says nothing yet; "c1 connect refused": nobody listens
//	c1 to 192.168.1.1:443        where it connects to
//	c1 tls shop.example.com      it connects by TLS and asks for this name; "c1 tls off" ends that
//	c1 new                       its next request opens another connection
//	close c1                     it closes its connection; "reset c1" breaks it off
//
// Servers answer health checks by themselves with 200, and those do not show as requests.
//
//	webA checks 404              … from now on with this status; or "hang" (no answer) or "reset";
//	                             to a TLS hello with an alert, "hello" (a TLS handshake) or "plain" (HTTP)
//	webA checked HEAD /index.html HTTP/1.0     the last check was this request; fields below as above
//	webA checked 5 times in 10s  … time passes, and so many checks come to its machine
//	webA checked from 10.1.2.1   a check came from this address
//	webA from 10.1.2.1           what it received last came from this address
//	webA counts 3                so many connections came to it so far, health checks aside
//	down webA                    its address refuses connections and those that were open break; "hang webA" makes it
//	                             a black hole instead, on open connections too; "up webA" ends both
//	close webA                   it closes the connection of the request it received last; "reset webA" breaks it off
//
// Who is picked, by the cookie values of the servers. Each pick is a request on a connection of its own, without a cookie
// unless one stands below; a client's name in front lends its address.
//
//	pick ABCDCD x3               exactly these, in this order, three times over; "pick s1,s2,s3" for longer values
//	pick 20 same                 twenty picks, all the same server
//	pick 20 other                … and not the one of this client's last pick
//	pick 20 of BCD               these servers, each at least once, and no other
//	pick 400 spread A=1 B=1 C=2  from as many addresses: the shares are these, give or take a quarter
//
// The rest:
//
//	wait 6s                      time passes
//	house other.hcl              the house is shut down, and one with this configuration of the folder opens
//	house b.hcl at 192.168.1.3   another house opens beside those that are open, on a machine of its own. Servers at its addresses
//	                             are no longer the flow's to play; clients talk to the house that was opened last
//	reload b.hcl                 the last house takes another configuration, or refuses it: "reload b.hcl refused ~ regexp"
//	stop b.hcl                   the house of this configuration shuts down softly, as the signal USR1 makes it
//	server drain webfarm/webA    what an operator tells the last house; or "ready", "maint", "weight webfarm/webA 3"
//	cut 10.1.0.0/16 10.2.0.0/16  nothing passes between these networks; "mend" repairs all lines
//	log ~ regexp                 the next line of the access log matches; "log nothing": there is none
//	each NAME a b c … end        the lines up to end, for each value ($NAME in the text); the values may also stand
//	                             below, one on a line. "\n" in a value starts another indented line
//	repeat 5 … end               the lines up to end, five times ($N counts from 1; "repeat 9..20": from 9 to 20)
//
// At the end, and before "house", everything that came must have been received by a line: a request nobody expected is
// a failure. Flows play on an in-memory network and on a clock of their own, so waiting costs nothing.

// flow is a parsed flow, its loops unrolled.
type flow struct{ steps []step }

// step is one line of a flow and the indented lines below it.
type step struct {
	line  int
	title string // the "#" lines above
	with  string // the values of the loops around it: "STATUS=302"
	text  string // the line

	who  string // who does it; "" for lines without an actor
	verb string
	args []string
	msg  *message // for > < checked and pick: what is sent or wanted
	raw  []byte   // for >> and <<
	on   string   // … of a server: the target that came on the connection; "": the last one

	within time.Duration // how long < waits
	after  time.Duration // when < must come after the last >; 0: not looked at
}

// message is a request or an answer as a flow spells it.
type message struct {
	method, target, version string // a request
	status                  int    // an answer
	reason                  string
	fields                  []field
	content                 []byte // nil: nothing was said about it
}

// field is an indented line about a header field.
type field struct {
	mark, name, value string
	re                *regexp.Regexp // for the marks with "~"
}

// patience is how long a "<" line waits where nothing else is said.
const patience = 10 * time.Second

// Usage of each line that is not a message, by its verb; what they take is checked when they are parsed.
var (
	alone = map[string]string{
		"up": "up SERVER", "down": "down SERVER", "hang": "hang SERVER", "close": "close NAME", "reset": "reset NAME",
		"wait": "wait DURATION", "house": "house FILE [at ADDRESS]", "reload": "reload FILE [refused ~ REGEXP]", "stop": "stop FILE [at ADDRESS]",
		"server": "server ready|drain|maint BACKEND/SERVER | server weight BACKEND/SERVER N", "cut": "cut NETWORK NETWORK", "mend": "mend", "log": "log ~ REGEXP | nothing", "pick": pickUsage,
	}
	acted = map[string]string{
		">": "NAME > METHOD TARGET | STATUS | EOF", "<": "NAME < METHOD TARGET | STATUS | EOF | nothing",
		">>": `NAME >> "bytes" [on TARGET]`, "<<": `NAME << "bytes" [on TARGET]`, "from": "NAME from ADDRESS", "to": "CLIENT to ADDRESS:PORT",
		"tls": "CLIENT tls NAME | off", "new": "CLIENT new", "connect": "CLIENT connect [refused]", "counts": "SERVER counts N", "pick": pickUsage,
		"checks": "SERVER checks STATUS | hang | reset | hello | plain", "checked": "SERVER checked METHOD TARGET [VERSION] | N times in DURATION | from ADDRESS",
	}
	actor = regexp.MustCompile(`^(\*|[A-Za-z][\w./:-]*(\|[A-Za-z][\w./:-]*)*)$`)
)

const pickUsage = "pick SERVERS [xTIMES] | N same | N other | N of SERVERS | N spread SERVER=SHARE…"

// step parses one line and the indented lines below it.
func (p *reader) step(i int, below []string, vars []binding) error {
	text, err := p.expand(i, p.lines[i], vars)
	if err != nil {
		return err
	}
	s := step{line: i + 1, title: p.title, text: strings.TrimSpace(text), within: patience}
	for _, b := range vars {
		s.with = strings.TrimSpace(s.with + " " + b.name + "=" + b.value)
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return p.errorf(i, "nothing is left of this line")
	}
	usage, ok := alone[words[0]]
	if ok {
		s.verb, s.args = words[0], words[1:]
	} else {
		if !actor.MatchString(words[0]) {
			return p.errorf(i, "%q is neither a name nor a word of the flow language", words[0])
		}
		if len(words) < 2 {
			return p.errorf(i, "what does %s do?", words[0])
		}
		s.who, s.verb, s.args = words[0], words[1], words[2:]
		if usage, ok = acted[s.verb]; !ok {
			return p.errorf(i, "%q is not a word of the flow language", s.verb)
		}
	}
	if err := s.take(); err != nil {
		if errors.Is(err, errUsage) {
			return p.errorf(i, "usage: %s", usage)
		}
		return p.errorf(i, "%s: %v", s.verb, err)
	}
	for k, line := range below {
		line, err := p.expand(i+1+k, strings.TrimSpace(line), vars)
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(line, `\n`) {
			if err := s.indent(strings.TrimSpace(line)); err != nil {
				return p.errorf(i+1+k, "%v", err)
			}
		}
	}
	if p.flow.steps = append(p.flow.steps, s); len(p.flow.steps) > maxSteps {
		return p.errorf(i, "more than %d steps", maxSteps)
	}
	return nil
}

// fieldLine takes an indented line apart: mark, name, and the value where there is one.
var fieldLine = regexp.MustCompile(`^(=~|!~|[=~!])?\s*([!#$%&'*+.^_|~0-9A-Za-z-]+?)(?:\s*$|:[ \t]*(.*)$)`)

// indent reads an indented line: a field, or content.
func (s *step) indent(line string) error {
	if s.msg == nil {
		return fmt.Errorf("nothing can stand below %q", s.text)
	}
	if line == "-" || line == "" { // an empty value of a loop
		return nil
	}
	if text, ok := strings.CutPrefix(line, "|"); ok {
		text = strings.TrimPrefix(text, " ")
		if s.msg.content == nil {
			s.msg.content = []byte(text)
		} else {
			s.msg.content = append(append(s.msg.content, '\n'), text...)
		}
		return nil
	}
	m := fieldLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("%q is neither a field, nor content after a bar", line)
	}
	f := field{mark: m[1], name: m[2], value: strings.TrimSpace(m[3])}
	colon := strings.HasSuffix(line, f.name+":") || m[3] != ""
	switch sends := s.verb == ">" || s.verb == "pick"; {
	case sends && f.mark != "" && f.mark != "!":
		return fmt.Errorf("%q: what is sent is written without %q", line, f.mark)
	case f.mark == "!" && colon:
		return fmt.Errorf("%q: ! takes a name alone; !~ takes a pattern", line)
	case f.mark != "!" && !colon:
		return fmt.Errorf("%q: no colon after the name", line)
	}
	if strings.HasSuffix(f.mark, "~") {
		re, err := regexp.Compile(f.value)
		if err != nil {
			return err
		}
		f.re = re
	}
	s.msg.fields = append(s.msg.fields, f)
	return nil
}
