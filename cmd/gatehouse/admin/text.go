package admin

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the status for people to read.
func (s *Status) WriteText(w io.Writer) error {
	p := &printer{w: w, now: s.Now}
	p.line("gatehouse %s, process %d, %s for %s", s.Version, s.PID, s.State, age(s.Now.Sub(s.Started)))
	p.line("configuration %s, generation %d since %s", strings.Join(s.Configuration, ", "), s.Generation, moment(s.Since))
	if r := s.Reload; r != nil {
		p.line("last reload %s: %s", moment(r.Time), r.Summary())
	}
	t := s.Totals
	p.line("%d of %d connections", t.Connections, t.MaxConnections)
	if t.Panics > 0 {
		p.line("%d exchanges were lost to faults of this program: please report what the log says of them", t.Panics)
	}
	p.line("")
	p.table("frontend\taddresses\tconnections\trequests\tunder way\tbad\trefused", len(s.Frontends), func(i int) string {
		f := &s.Frontends[i]
		return row(f.Name, strings.Join(f.Addresses, " "), f.Connections, f.Requests, f.Active, f.Bad, f.Refused)
	})
	if list := s.Compressors(); len(list) > 0 {
		p.line("")
		p.table("compressed by\tanswers\tcodings\tcopies\tcontent\tsent\tsaved\tleft as they are", len(list), func(i int) string {
			c := list[i].Compress
			return row(list[i].Name, c.Compressed(), orNone(c.Codings()), c.Copies, mebibytes(c.In), mebibytes(c.Out), strconv.Itoa(c.Saved())+" %", orNone(c.Reasons()))
		})
	}
	for i := range s.Backends {
		b := &s.Backends[i]
		p.line("")
		p.line("backend %s: %s", b.Name, b.Summary())
		p.table("  server\taddress\tstate\tsince\tweight\tunder way\tidle\trequests\terrors\tcheck", len(b.Servers), func(i int) string {
			v := &b.Servers[i]
			return row("  "+v.Name, v.Address, v.State, age(s.Now.Sub(v.Since)), v.Weight, v.Active, v.Idle, v.Requests, v.Refused+v.Failed, v.Remark())
		})
	}
	if len(s.Caches) > 0 {
		p.line("")
		s.caches(p)
	}
	if len(s.Certificates) > 0 {
		p.line("")
		p.table("certificate\ttls\tends\tin\tstate", len(s.Certificates), func(i int) string {
			c := &s.Certificates[i]
			ends, in := "-", "-"
			if !c.NotAfter.IsZero() {
				ends, in = c.NotAfter.Local().Format(time.DateOnly), left(c.NotAfter.Sub(s.Now))
			}
			return row(strings.Join(c.Names, " "), c.TLS, ends, in, c.State)
		})
	}
	if len(s.Logs) > 0 {
		p.line("")
		p.table("log\toutput\tlines dropped", len(s.Logs), func(i int) string {
			l := &s.Logs[i]
			return row(l.Name, l.Output, l.Dropped)
		})
	}
	if len(s.Troubles) > 0 {
		p.line("")
	}
	for _, text := range s.Troubles {
		p.line("! %s", text)
	}
	return p.err
}

// WriteCaches writes what caches remember, for people to read.
func (s *Status) WriteCaches(w io.Writer) error {
	p := &printer{w: w, now: s.Now}
	if len(s.Caches) == 0 {
		p.line("no frontend has a cache")
		return p.err
	}
	s.caches(p)
	return p.err
}

func (s *Status) caches(p *printer) {
	p.table("cache\turls\tmemory\tof\tanswered\thits\tstale\tmisses\tcollapsed\tpassed\tstored\tevicted\tforgotten", len(s.Caches), func(i int) string {
		c := &s.Caches[i]
		return row(c.Name, c.Keys, mebibytes(c.Bytes), mebibytes(c.Memory), strconv.Itoa(c.Ratio())+" %", c.Hits, c.Stale, c.Misses, c.Collapsed, c.Passed,
			c.Stored, c.Evicted, c.Purged+c.Invalidated)
	})
	list := s.Disks()
	if len(list) == 0 {
		return
	}
	p.line("")
	p.table("cache\tdisk\tanswers\tsize\tof\tstate\thits\tpromoted\tstored\tdropped\tevicted\tcorrupt\terrors\tslow", len(list), func(i int) string {
		d := list[i].Disk
		return row(list[i].Name, d.Path, d.Objects, mebibytes(d.Bytes), mebibytes(d.Size), d.State, d.Hits, d.Promoted, d.Stored, d.Dropped,
			d.Evicted, d.Corrupt, d.Errors, d.Slow)
	})
	for _, c := range list {
		if c.Disk.Trouble != "" {
			p.line("cache %s goes on in memory: %s", c.Name, c.Disk.Trouble)
		}
	}
}

// orNone fills a place in a table that would be empty.
func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// mebibytes writes a size.
func mebibytes(n uint64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// Summary says in a line how the backend is.
func (b *Backend) Summary() string {
	open := 0
	for i := range b.Servers {
		if b.Servers[i].Newcomers {
			open++
		}
	}
	text := fmt.Sprintf("%d of %d servers take newcomers, %d requests, %d under way", open, len(b.Servers), b.Requests, b.Active)
	for _, n := range []struct {
		n    uint64
		what string
	}{{uint64(b.Waiting), "waiting"}, {b.Retries, "retries"}, {b.Redispatches, "redispatched"}, {b.Failed, "failed"}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	if !b.Usable {
		text = "no server is usable: " + text
	}
	return text
}

// Remark is what else there is to say of a server: its part, its check's words, and what of it is the operator's doing.
func (s *Server) Remark() string {
	var words []string
	if s.Backup {
		words = append(words, "backup")
	}
	switch {
	case s.Health == "unchecked":
		words = append(words, "not checked")
	case s.Check != "":
		words = append(words, s.Check)
	}
	return strings.Join(append(words, s.Wishes...), "; ")
}

// Summary says in a line how the reload ended.
func (o *Outcome) Summary() string {
	took := time.Duration(o.Seconds * float64(time.Second)).Round(time.Millisecond)
	if !o.Done {
		return "refused: the configuration before it serves on"
	}
	return fmt.Sprintf("done in %s", took)
}

// printer writes lines and tables until something fails.
type printer struct {
	w   io.Writer
	now time.Time
	err error
}

func (p *printer) line(format string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(fmt.Sprintf(format, values...), " "))
	}
}

// table writes a header and n rows, the cells of which are separated by tabs.
func (p *printer) table(header string, n int, row func(i int) string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for i := range n {
		fmt.Fprintln(t, row(i))
	}
	t.Flush()
	for line := range strings.Lines(b.String()) {
		p.line("%s", strings.TrimRight(line, "\n"))
	}
}

// row joins the cells of a row. What would end one is taken out of them.
func row(cells ...any) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, fmt.Sprint(c)))
	}
	return b.String()
}

// moment writes a time as people of this machine read it.
func moment(t time.Time) string { return t.Local().Format(time.DateTime) }

// age writes how long something has been: "12s", "3m40s", "5h10m", "12d3h".
func age(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	two := func(a int, u string, b int, v string) string {
		if b == 0 {
			return strconv.Itoa(a) + u
		}
		return strconv.Itoa(a) + u + strconv.Itoa(b) + v
	}
	switch {
	case days > 0:
		return two(days, "d", hours, "h")
	case hours > 0:
		return two(hours, "h", minutes, "m")
	case minutes > 0:
		return two(minutes, "m", seconds, "s")
	}
	return strconv.Itoa(seconds) + "s"
}

// left is age for what is still to come.
func left(d time.Duration) string {
	if d <= 0 {
		return "over"
	}
	return age(d)
}
