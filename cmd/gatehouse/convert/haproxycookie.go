package convert

import (
	"strings"
	"time"
)

// maxAge is what HAProxy takes for max_idle and max_life, in whole seconds unless a unit is written.
func maxAge(s string) (time.Duration, bool) {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		s += "s"
	}
	v, _, ok := parseHAProxyTime(s)
	return v, ok && v >= time.Second
}

func (x *proxy) cookie(d *directive) {
	c := &cookie{name: d.arg(1), mode: "passive"}
	indirect, nocache, httponly := false, false, false
	for i := 2; i < len(d.words); i++ {
		arg := func() string {
			i++
			return d.arg(i)
		}
		switch d.words[i] {
		case "insert", "prefix", "rewrite":
			c.mode = d.words[i]
		case "indirect":
			indirect = true
		case "nocache":
			nocache = true
		case "postonly":
			c.postonly = true
		case "preserve":
			c.preserve = true
		case "httponly":
			httponly = true
		case "secure":
			c.secure = new(true)
		case "domain":
			c.domain = append(c.domain, arg())
		case "maxidle", "maxlife":
			to := &c.maxIdle
			if d.words[i] == "maxlife" {
				to = &c.maxLife
			}
			word := d.words[i]
			if v, ok := maxAge(arg()); ok {
				*to = v
			} else {
				d.refuse("%s: %q is not a time", word, d.arg(i))
			}
		case "attr":
			x.cookieAttr(d, c, arg())
		case "dynamic":
			d.refuse("dynamic: give every server a cookie of its own")
		default:
			d.refuse("unknown word %q", d.words[i])
		}
	}
	if c.mode != "insert" && indirect {
		c.indirect = new(true)
	}
	if c.mode == "insert" {
		if !indirect {
			c.indirect = new(false)
		}
		switch {
		case nocache && indirect:
			c.indirect, c.nocache = new(true), new(true) // written out, as the old configuration did
			if x.h.options.Idiomatic {
				c.indirect, c.nocache = nil, nil
			}
		case !nocache:
			d.note("answers that carry the cookie are private to their client (nocache)")
		}
		if !httponly || c.sameSite == "" {
			d.note("the cookie also carries SameSite=Lax and HttpOnly, and Secure over TLS")
		}
	}
	c.take("", d)
	x.b.cookie = c
	x.cookieWord = d
	d.keep("cookie %q in mode %s", c.name, c.mode)
}

// cookieAttr takes the one attribute that has a word of its own here.
func (x *proxy) cookieAttr(d *directive, c *cookie, attr string) {
	name, value, _ := strings.Cut(attr, "=")
	if strings.EqualFold(name, "SameSite") {
		c.sameSite = strings.ToLower(value)
		return
	}
	d.refuse("attr: no attribute %q can be added to the cookie", attr)
}
