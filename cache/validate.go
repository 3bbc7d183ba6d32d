package cache

import (
	"fmt"
	"strings"
)

// least is the smallest memory a cache can do something with.
const least = 1 << 20

// Check reports what a cache cannot work with.
func (c *Config) Check(bad func(field any, problem, remedy string)) {
	if c.Memory < least {
		bad(&c.Memory, "memory is less than 1MiB", `Write a size such as "256MiB", or leave it out for that.`)
	}
	if c.MaxObject < 1 {
		bad(&c.MaxObject, "max_object is less than one byte", `Nothing could be remembered. Write a size such as "8MiB", or leave it out for that.`)
	}
}

// Check reports what no directory is, and room for next to nothing.
func (d *Disk) Check(bad func(field any, problem, remedy string)) {
	if d.Path == "" || d.Path == "/" {
		bad(&d.Path, fmt.Sprintf("directory %q for a cache", d.Path), `Write one of its own, such as disk "/var/cache/gatehouse" { size = "4GiB" }.`)
	}
	if d.Size < least {
		bad(&d.Size, "size is less than 1MiB", `Write a size such as "4GiB", or leave it out for 1GiB.`)
	}
}

// usual is the max_object of a configuration that says nothing about it.
const usual = 8 << 20

// Advise warns of a bound that another one makes void.
func (c *Config) Advise(warn func(field any, problem, remedy string)) {
	switch {
	case c.MaxObject == usual:
	case c.Disk == nil && c.MaxObject > c.Memory/4:
		warn(&c.MaxObject, "max_object is more than a quarter of memory", "A quarter of memory is what counts, as a few answers would push out all others. Lower max_object, or raise memory.")
	case c.MaxObject > c.largest():
		warn(&c.MaxObject, "max_object is more than a quarter of memory, and of the disk", "A quarter of the larger of them is what counts, as a few answers would push out all others. Lower max_object, or raise the size of the disk.")
	}
}

// largest returns how large the content of one answer may be.
func (c *Config) largest() int64 {
	if c.Disk != nil {
		return min(c.MaxObject, max(c.Memory, c.Disk.Size)/4)
	}
	return c.inMemory()
}

// inMemory returns how large the content of one answer in memory may be.
func (c *Config) inMemory() int64 { return min(c.MaxObject, c.Memory/4) }

// Check reports parameters that could not be the name of one.
func (q *Query) Check(bad func(field any, problem, remedy string)) {
	for i, d := range q.Drop {
		name := strings.TrimSuffix(d, "*")
		switch {
		case name == "" && d == "*":
			bad(&q.Drop[i], "drop of all parameters", "All queries would get one and the same answer. Name the parameters that do not matter.")
		case name == "":
			bad(&q.Drop[i], "drop of a parameter without a name", `Write a name such as "fbclid", or "utm_*" for all that begin so.`)
		case strings.ContainsAny(name, "*&=?#; "):
			bad(&q.Drop[i], fmt.Sprintf("drop %q is no name of a parameter", d), `Write a name such as "fbclid", or "utm_*" for all that begin so.`)
		}
	}
}

// Advise warns of a block that does nothing.
func (q *Query) Advise(warn func(field any, problem, remedy string)) {
	if !q.Sort && len(q.Drop) == 0 {
		warn(q, "query without sort and without drop", `It has no effect. Write sort = true, or drop = ["utm_*"].`)
	}
}

// Check reports patterns nothing could match, and attributes that contradict each other.
func (r *Rule) Check(bad func(field any, problem, remedy string)) {
	if len(r.Paths) == 0 {
		bad(&r.Paths, "rule without a path", `Write paths = ["/assets/*"].`)
	}
	for i, p := range r.Paths {
		if fault := patternFault(p); fault != "" {
			bad(&r.Paths[i], fmt.Sprintf("path %q %s", p, fault), `Write "/exact" or "/prefix/*".`)
		}
	}
	if r.Bypass && (r.TTL != 0 || r.StaleFor != 0 || r.Errors) {
		bad(&r.Bypass, "bypass and something to remember", "With bypass = true nothing is remembered. Leave it out, or ttl, stale_for and errors.")
	}
}

// Advise warns of a rule that changes nothing.
func (r *Rule) Advise(warn func(field any, problem, remedy string)) {
	if !r.Bypass && r.TTL == 0 && r.StaleFor == 0 && !r.Errors {
		warn(r, "rule that changes nothing", "Add ttl, stale_for, errors or bypass. On its own it only keeps the rules below from its paths.")
	}
}

// patternFault says why no path could match p, or "".
func patternFault(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "does not begin with a slash"
	case strings.ContainsAny(p, "?#"):
		return "holds a query or a fragment, and only paths are compared"
	case strings.Contains(strings.TrimSuffix(p, "/*"), "*"):
		return "has a star elsewhere than in a last \"/*\""
	case strings.ContainsAny(p, " \t\r\n"):
		return "holds a blank"
	}
	return ""
}
