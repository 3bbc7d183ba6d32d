package admin

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteCertificates writes certificates for people to read: a table, and below it what is to be said of some of them.
func WriteCertificates(w io.Writer, list []Certificate, now time.Time) error {
	p := &printer{w: w, now: now}
	if len(list) == 0 {
		p.line("no certificate is served, and none is on its way")
		return p.err
	}
	p.table("names\tstate\tfrom\tby\tends\tin\tnext\ttls", len(list), func(i int) string {
		c := &list[i]
		ends, in, way := "-", "-", "-"
		if !c.NotAfter.IsZero() {
			ends, in = moment(c.NotAfter), left(c.NotAfter.Sub(now))
		}
		if c.Way != "" {
			way = c.Way
		}
		names := strings.Join(c.Names, " ")
		if names == "" {
			names = "-"
		}
		return row(names, c.State, c.From(), way, ends, in, c.Plan(now), c.TLS)
	})
	for i := range list {
		remarks := list[i].Remarks(now)
		if len(remarks) == 0 {
			continue
		}
		p.line("")
		p.line("%s:", list[i].Name())
		for _, r := range remarks {
			p.line("  %s", oneLine(r))
		}
	}
	return p.err
}

// oneLine takes out of a text of others what would end a line, or tell the terminal something.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// WriteText writes all of it for people to read.
func (s *CertShown) WriteText(w io.Writer, now time.Time) error {
	p := &printer{w: w, now: now}
	if c := s.State; c != nil {
		p.line("%s: %s, obtained from %s by %s", c.Name(), c.State, c.CA, c.Way)
		if plan := c.Plan(now); plan != "-" {
			p.line("next: %s", plan)
		}
		for _, r := range c.Remarks(now) {
			p.line("%s", oneLine(r))
		}
		p.line("%d obtained and %d failed since the start", c.Successes, c.Failures)
	}
	for i := range s.Details {
		if i > 0 || s.State != nil {
			p.line("")
		}
		s.Details[i].write(p)
	}
	return p.err
}

func (d *CertDetail) write(p *printer) {
	say := func(what, format string, values ...any) {
		p.line("%-12s %s", what, oneLine(fmt.Sprintf(format, values...)))
	}
	say("names", "%s", strings.Join(d.Names, " "))
	say("state", "%s, ends %s (in %s)", d.State, moment(d.NotAfter), left(d.NotAfter.Sub(p.now)))
	say("valid from", "%s", moment(d.NotBefore))
	say("subject", "%s", d.Subject)
	say("issuer", "%s", d.Issuer)
	say("serial", "%s", d.Serial)
	say("key", "%s, signed with %s", d.Key, d.Signature)
	say("sha256", "%s", d.SHA256)
	say("sha1", "%s", d.SHA1)
	say("public key", "%s", d.PublicKey)
	if len(d.Chain) == 0 {
		say("chain", "nothing is sent beside it")
	}
	for i, l := range d.Chain {
		what := ""
		if i == 0 {
			what = "chain"
		}
		say(what, "%s, issued by %s, ends %s", l.Subject, l.Issuer, l.NotAfter.Local().Format(time.DateOnly))
	}
	switch {
	case d.Staple != nil && d.Staple.NextUpdate.IsZero():
		say("ocsp", "%s, as of %s", d.Staple.Status, moment(d.Staple.ThisUpdate))
	case d.Staple != nil:
		say("ocsp", "%s, as of %s, until %s", d.Staple.Status, moment(d.Staple.ThisUpdate), moment(d.Staple.NextUpdate))
	case d.Responder != "":
		say("ocsp", "nothing yet from %s", d.Responder)
	default:
		say("ocsp", "the CA has no responder")
	}
	file := d.File
	if file == "" {
		file = "the internal CA's, in memory"
	}
	say("stored", "%s", file)
	text := "since " + moment(d.Since)
	if d.Default {
		text += ", also to clients that name no host"
	}
	say("served", "%s, tls %s", text, d.TLS)
}
