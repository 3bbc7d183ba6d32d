package convert

import (
	"slices"

	"gatehouse/cmd/gatehouse/config"
)

// defaultsSection makes known a defaults section, with what it takes from another one.
func (h *haproxy) defaultsSection(sec *section) *section {
	sec.head.keep("counts for the sections after it")
	h.site.head = append(h.site.head, sec.head.comments...)
	sec.head.comments = nil
	name, from := sec.head.arg(1), ""
	if name == "from" {
		name, from = "", sec.head.arg(2)
	} else if sec.head.arg(2) == "from" {
		from = sec.head.arg(3)
	}
	for _, d := range sec.body { // they would be said once for each section
		h.site.head = append(h.site.head, d.comments...)
		d.comments = nil
	}
	if from != "" {
		if base := h.defaults[from]; base != nil {
			sec.body = append(slices.Clone(base.body), sec.body...)
			h.usedDefaults[base] = true
		} else {
			sec.head.refuse("there is no defaults section %q before it", from)
		}
	}
	if name != "" {
		h.defaults[name] = sec
	}
	return sec
}

// other judges a section that has no counterpart here.
func other(sec *section) {
	v, reason := Refused, "nothing of this kind here"
	switch sec.kind {
	case "resolvers":
		v, reason = Noted, "names are looked up by the machine's resolver"
	case "mailers":
		v, reason = Noted, "no mail is sent: watch the log or the status page"
	case "userlist":
		v, reason = Noted, "passwords are not asked for here: what uses the list is refused where it is used"
		for _, d := range sec.body {
			d.secret(d.words, 2)
		}
	case "http-errors":
		v, reason = Noted, "error pages cannot be configured: the built-in ones are sent"
	case "peers":
		reason = "there are no stick tables to share here: cookies need none"
	case "program":
		reason = "other programs are the service manager's to start"
	case "traces", "ring", "log-profile":
		v, reason = Noted, "only where log lines go and their format are configured here"
	case "log-forward":
		reason = "log lines of other programs are not forwarded here"
	case "fcgi-app":
		reason = "servers speak HTTP here, not FastCGI"
	}
	sec.head.judge(v, "%s", reason)
	for _, d := range sec.body {
		if d.Verdict == unjudged {
			d.judge(v, "%s", reason)
		}
	}
}

// cache reads a cache section. Sizes are megabytes there, and bytes for one object.
func (h *haproxy) cache(sec *section) {
	c := h.site.cache(or(sec.head.arg(1), "cache"))
	c.take("", sec.head)
	sec.head.keep("cache %q", c.name)
	for _, d := range sec.body {
		n := atoi(d.arg(1))
		switch d.arg(0) {
		case "total-max-size":
			if n < 1 || n > 4095 {
				d.refuse("%q is not a number of megabytes", d.arg(1))
				continue
			}
			c.memory = config.FormatSize(int64(n) << 20)
			c.take("memory", d)
			d.keep("memory")
		case "max-object-size":
			if n < 1 {
				d.refuse("%q is not a number of bytes", d.arg(1))
				continue
			}
			c.maxObject = config.FormatSize(int64(n))
			c.take("max_object", d)
			d.keep("max_object")
		case "max-age":
			c.take("", d)
			d.note("answers are fresh for as long as the server says")
		case "process-vary", "max-secondary-entries":
			c.take("", d)
			d.fold("what varies is kept apart by itself")
		default:
			d.refuse("unknown directive")
		}
	}
}
